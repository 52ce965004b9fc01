"""Pictures and captions meet: CLIP, with open_clip's own model and loss."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Generator, Tensor, nn
from torch.nn import functional

from audits.pilots.augmentation import channels_first, shifted, to_input
from audits.pilots.checked import TrainingError
from audits.pilots.clip import build, tokens_of
from audits.pilots.objectives.objective import Objective, Views
from audits.pilots.recipe import TINY_CLIP, TrainingSettings
from audits.pilots.training_set import TrainingSet

if TYPE_CHECKING:
    from open_clip.model import CLIP

    from audits.suspects.clip_models import TextTower

HOTTEST = math.log(100)  # the temperature's inverse is clipped at 100, as in CLIP


class ClipObjective(Objective):
    """Radford et al. 2021: a symmetric cross-entropy over the cosine similarities of a batch."""

    tokens: Tensor

    def __init__(self, settings: TrainingSettings, data: TrainingSet) -> None:
        from open_clip.loss import ClipLoss

        if data.captions is None:
            raise TrainingError("CLIP needs a caption for every image; choose a method that learns without.")
        super().__init__(settings)
        self.clip: CLIP = build(TINY_CLIP, settings.seed)
        self.clip_loss = ClipLoss()
        tokens = tokens_of(data.captions, TINY_CLIP["text_cfg"]["context_length"])
        self.register_buffer("tokens", tokens, persistent=False)

    @property
    def model(self) -> nn.Module:
        return self.clip

    @property
    def seeing(self) -> nn.Module:
        visual: nn.Module = self.clip.visual
        return visual

    def start_from(self, weights: Path) -> str:
        try:
            self.clip.load_state_dict(load_file(weights))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise TrainingError("These weights are not those of a tiny CLIP model trained here.") from error
        return hashlib.sha256(weights.read_bytes()).hexdigest()

    def prepared(self, images: Tensor, generator: Generator) -> Views:
        return (to_input(channels_first(shifted(images, self.settings.shift, generator))),)

    def loss(self, views: Views, chosen: Tensor) -> Tensor:
        with self.lowered(views[0].device):
            seen = self.clip.encode_image(views[0])
        read = self.clip.encode_text(self.tokens[chosen], normalize=True)
        seen = functional.normalize(seen.float(), dim=-1)
        loss: Tensor = self.clip_loss(seen, read, self.clip.logit_scale.exp())
        return loss

    @torch.no_grad()
    def stepped(self, part: float) -> None:
        self.clip.logit_scale.clamp_(0, HOTTEST)

    def text_tower(self) -> TextTower:
        """What reads captions, as an audit lets a suspect's own tower read them."""
        from audits.suspects.clip_models import TextTower

        return TextTower(self.clip, TINY_CLIP["text_cfg"])

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.clip.encode_image(to_input(images), normalize=True)
        return features
