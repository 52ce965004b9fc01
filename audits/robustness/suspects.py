"""Trained models as somebody offers them: features, and soft labels by a head, by prompts or by a linear probe."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from audits.pilots.augmentation import channels_first, to_input
from audits.pilots.clip import build, tokens_of
from audits.pilots.encoders import Encoder, build_encoder
from audits.pilots.linear_probe import fit_probe, probe_logits
from audits.pilots.recipe import PROMPT, TINY_CLIP, TrainingSettings
from audits.pilots.training import save_weights
from audits.suspects.captions import Captions

if TYPE_CHECKING:
    from open_clip.model import CLIP

BATCH = 256


class Said(NamedTuple):
    """Answers to a batch: features ``(B, d)`` and probabilities ``(B, k)``, None where there are none."""

    features: Tensor | None
    soft: Tensor | None


@dataclass(frozen=True)
class Task:
    """What the model's labels are for: images ``(N, S, S, 3) uint8`` of no copy with their classes ``(N,) int64``.

    A probe is fitted to the first half; its accuracy is that on the second.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: tuple[str, ...]

    @property
    def half(self) -> int:
        return len(self.labels) // 2


class _ClipSeeing(nn.Module):
    """A CLIP model that answers as encoders do; logits come from prompts with the task's names."""

    def __init__(self, clip: CLIP, task: Task | None) -> None:
        super().__init__()
        self.network, self.prompts = clip, None if task is None else self._read(clip, task.names)

    @staticmethod
    @torch.inference_mode()
    def _read(clip: CLIP, names: tuple[str, ...]) -> Tensor:
        tokens = tokens_of([PROMPT.format(name) for name in names], clip.context_length)
        device = next(clip.parameters()).device
        read: Tensor = clip.encode_text(tokens.to(device), normalize=True)
        return read

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        features: Tensor = self.network.encode_image(images, normalize=True)
        if self.prompts is None:
            return features, None
        return features, self.network.logit_scale.exp() * features @ self.prompts.T


@dataclass(frozen=True)
class Suspect:
    """A model in evaluation mode. altered: what its owner does to every answer, in order."""

    seeing: nn.Module
    recipe: TrainingSettings
    task: Task | None
    probe: Tensor | None = None  # (d + 1, k)
    altered: tuple[Callable[[Said], Said], ...] = ()

    @classmethod
    def read(cls, weights: Path, recipe: TrainingSettings, task: Task | None, device: torch.device) -> Suspect:
        """What a training left."""
        if recipe.learns_from == "captions":
            clip = build(TINY_CLIP, recipe.seed)
            clip.load_state_dict(load_file(weights))
            seeing: nn.Module = _ClipSeeing(clip.to(device), task)
        else:
            seeing = empty_encoder(recipe, task)
            seeing.start_from(weights)
        return cls.of(seeing.to(device), recipe, task)

    @classmethod
    def of(cls, seeing: nn.Module, recipe: TrainingSettings, task: Task | None) -> Suspect:
        """Where the network gives no labels, a linear probe does, fitted anew to what it says now."""
        plain = cls(seeing.eval(), recipe, task)
        if task is None or plain.said(_pixels(task.images[:1], plain.device)).soft is not None:
            return plain
        return replace(plain, probe=fitted_probe(plain.features(task.images[: task.half]), task))

    @property
    def device(self) -> torch.device:
        return next(self.seeing.parameters()).device

    def captions(self) -> Captions | None:
        """Reads captions; None for a network without a text tower."""
        network = self.seeing.network if isinstance(self.seeing, _ClipSeeing) else None
        if network is None:
            return None
        from audits.suspects.clip_models import TextTower

        return Captions(lambda: TextTower(network, TINY_CLIP["text_cfg"]), self.device)

    @torch.inference_mode()
    def said(self, pixels: Tensor) -> Said:
        """Answers to grey levels ``(B, 3, S, S)``, 0 to 255."""
        features, logits = self.seeing(to_input(pixels))
        features = features.float()
        if self.probe is not None:
            logits = probe_logits(features, self.probe)
        said = Said(features, None if logits is None else logits.float().softmax(dim=1))
        for change in self.altered:
            said = change(said)
        return said

    def features(self, images: NDArray[np.uint8]) -> Tensor:
        """``(N, d)`` of ``(N, S, S, 3)``, before anything is altered."""
        plain = replace(self, altered=())
        blocks = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
        found = [plain.said(_pixels(block, self.device)).features for block in blocks]
        return torch.cat([one for one in found if one is not None])

    def accuracy(self) -> float | None:
        """Part of the task's second half that gets its own class; None where there is no task, or no answer."""
        if self.task is None:
            return None
        images, labels = self.task.images[self.task.half :], self.task.labels[self.task.half :]
        right = 0
        for start in range(0, len(images), BATCH):
            soft = self.said(_pixels(images[start : start + BATCH], self.device)).soft
            if soft is None:
                return None
            said = torch.where(soft.isfinite().all(dim=1), soft.argmax(dim=1), -1).cpu().numpy()
            right += int((said == labels[start : start + BATCH]).sum())
        return right / len(images)

    def changed(self, change: Callable[[nn.Module], None]) -> Suspect:
        """A copy whose network was changed in place; a probe is fitted anew."""
        seeing = copy.deepcopy(self.seeing)
        with torch.no_grad():
            change(seeing)
        return Suspect.of(seeing, self.recipe, self.task)

    def answering(self, change: Callable[[Said], Said]) -> Suspect:
        """The same model with its answers altered once more."""
        return replace(self, altered=(*self.altered, change))

    def save(self, path: Path) -> None:
        """The network's weights as safetensors, as a training begins with them."""
        network = self.seeing.network
        assert isinstance(network, nn.Module)  # noqa: S101 - both kinds of seeing have one
        path.parent.mkdir(parents=True, exist_ok=True)
        save_weights(network, path)


def empty_encoder(recipe: TrainingSettings, task: Task | None) -> Encoder:
    """An untrained encoder of this recipe, with a head where it learns from classes."""
    classes = len(task.names) if recipe.learns_from == "classes" and task is not None else None
    return build_encoder(recipe.encoder, recipe.side, classes)


def fitted_probe(features: Tensor, task: Task) -> Tensor:
    """Ridge regression from features ``(n, d)`` of the task's first images to their one-hot classes: ``(d + 1, k)``."""
    labels = torch.from_numpy(task.labels[: len(features)]).to(features.device)
    return fit_probe(features, labels, len(task.names)).float()


def _pixels(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    return channels_first(torch.from_numpy(np.ascontiguousarray(images))).to(device).float()
