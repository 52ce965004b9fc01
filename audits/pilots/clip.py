"""Tiny CLIP models: built with open_clip's own classes, trained on pairs held in memory, saved as safetensors.

Radford et al. 2021 (CLIP): two towers, a symmetric cross-entropy over the cosine similarities of a batch. Everything
runs in the calling process and thread: no data-loading workers, which a daemonic worker process could not start.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from audits.pilots.pairs import Pairs
from audits.pilots.recipe import DEVIATION, MEAN, TINY_CLIP, TrainingError, TrainingSettings, steps_of
from audits.pilots.threads import linear_algebra_threads

if TYPE_CHECKING:  # loads longer than torch itself, and only who trains or asks needs it
    from open_clip.model import CLIP

HOTTEST = math.log(100)  # the temperature's inverse is clipped at 100, as in CLIP
WARM_UP = 0.05  # part of all steps over which the learning rate rises
ANSWER_BATCH = 256


@dataclass(frozen=True)
class Progress:
    """How far a run is, told after every few steps."""

    step: int
    steps: int
    epoch: int
    loss: float
    images_per_second: float
    losses: tuple[float, ...]  # mean loss of every finished epoch


@dataclass(frozen=True)
class TrainedClip:
    """A trained model with what is worth knowing about its training."""

    model: CLIP
    config: dict[str, Any]
    settings: TrainingSettings
    losses: tuple[float, ...]  # mean loss of every epoch
    seconds: float

    def save(self, folder: Path) -> Path:
        """Write ``model.safetensors``, ``open_clip_config.json`` and ``training.json``; returns the weights' path."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = folder / "model.safetensors"
        save_file({name: value.contiguous() for name, value in self.model.state_dict().items()}, weights)
        description = {"model_cfg": self.config, "preprocess_cfg": {"mean": MEAN, "std": DEVIATION}}
        (folder / "open_clip_config.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        facts = {"settings": self.settings.to_json(), "losses": self.losses, "seconds": round(self.seconds, 1)}
        (folder / "training.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        return weights


def build(config: dict[str, Any], seed: int) -> CLIP:
    """An untrained model; all of its numbers derive from ``seed``."""
    from open_clip.model import CLIP

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CLIP(**config)
    return model.to(memory_format=torch.channels_last)


def _tokens(texts: Sequence[str], length: int) -> Tensor:
    """Each text (n of them) as the numbers of its words and where it ends: ``(n, length)``."""
    from open_clip.tokenizer import SimpleTokenizer

    tokens: Tensor = SimpleTokenizer(context_length=length)(list(texts))
    return tokens


def to_input(images: Tensor) -> Tensor:
    """Grey levels ``(B, 3, S, S)``, 0 to 255, to the network's input in channels-last memory."""
    mean, deviation = (torch.tensor(numbers)[:, None, None] for numbers in (MEAN, DEVIATION))
    return ((images.float() / 255 - mean) / deviation).contiguous(memory_format=torch.channels_last)


def shifted(images: Tensor, largest: int, generator: torch.Generator) -> Tensor:
    """Every image ``(B, S, S, 3)`` moved by its own random offset of up to ``largest`` pixels, edges repeated."""
    if largest == 0:
        return images
    count, side = images.shape[:2]
    offsets = torch.randint(-largest, largest + 1, (2, count, 1), generator=generator)
    rows, columns = (torch.arange(side) + offsets).clamp(0, side - 1)
    return images[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def _optimiser(model: CLIP, settings: TrainingSettings) -> torch.optim.Optimizer:
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), eps=1e-6, fused=True)


def _rate(step: int, steps: int) -> float:
    """Part of the peak learning rate at a step: linear rise, then half a cosine."""
    rise = max(1, round(WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _batches(count: int, settings: TrainingSettings, epoch: int) -> Iterator[Tensor]:
    order = np.random.default_rng([settings.seed, 1, epoch]).permutation(count)
    for start in range(0, count - settings.batch_size + 1, settings.batch_size):
        yield torch.from_numpy(order[start : start + settings.batch_size])


def train(
    pairs: Pairs,
    settings: TrainingSettings,
    progress: Callable[[Progress], None] | None = None,
) -> TrainedClip:
    """Train a tiny CLIP model on pairs; the same settings and pairs give the same model on one machine.

    pairs: images at the network's input size, with captions. progress: called about every ten steps; whatever it
    raises ends the training. Raises TrainingError for unfit pairs or a loss that is no number.
    """
    from open_clip.loss import ClipLoss

    config = TINY_CLIP
    steps = steps_of(settings, len(pairs))
    if steps == 0:
        raise TrainingError(f"{len(pairs)} pairs do not fill one batch of {settings.batch_size}.")
    side = config["vision_cfg"]["image_size"]
    if pairs.images.shape[1:3] != (side, side):
        raise TrainingError(f"The images are {pairs.images.shape[1:3]}, the network expects {side} by {side}.")
    images = torch.from_numpy(pairs.images)
    tokens = _tokens(pairs.captions, config["text_cfg"]["context_length"])
    model = build(config, settings.seed)
    optimiser, loss_of = _optimiser(model, settings), ClipLoss()
    augmentation = torch.Generator().manual_seed(int(np.random.SeedSequence([settings.seed, 2]).generate_state(1)[0]))
    losses: list[float] = []
    step, started = 0, time.monotonic()
    model.train()
    with linear_algebra_threads(settings.threads):
        for epoch in range(settings.epochs):
            total = 0.0
            for chosen in _batches(len(pairs), settings, epoch):
                for group in optimiser.param_groups:
                    group["lr"] = settings.learning_rate * _rate(step, steps)
                batch = to_input(shifted(images[chosen], settings.shift, augmentation).permute(0, 3, 1, 2))
                with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
                    seen = model.encode_image(batch)
                read = model.encode_text(tokens[chosen], normalize=True)
                loss = loss_of(functional.normalize(seen.float(), dim=-1), read, model.logit_scale.exp())
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                with torch.no_grad():
                    model.logit_scale.clamp_(0, HOTTEST)
                total += loss.item()
                step += 1
                if not math.isfinite(total):
                    raise TrainingError("The training diverged; lower the learning rate.")
                if progress is not None and (step % 10 == 0 or step == steps):
                    speed = step * settings.batch_size / max(1e-9, time.monotonic() - started)
                    progress(Progress(step, steps, epoch + 1, loss.item(), speed, tuple(losses)))
            losses.append(total / (len(pairs) // settings.batch_size))
    return TrainedClip(model.eval(), config, settings, tuple(losses), time.monotonic() - started)


class ClipAnswers(NamedTuple):
    """Features ``(N, embed_dim)`` of length one and zero-shot probabilities ``(N, classes)``."""

    features: NDArray[np.float32]
    soft: NDArray[np.float32]


@torch.inference_mode()
def answers(model: CLIP, images: Tensor, names: Sequence[str], prompt: str) -> ClipAnswers:
    """Ask a model about images ``(N, 3, S, S)``, grey levels 0 to 255; labels come from prompts such as "a {}"."""
    model.eval()
    tokens = _tokens([prompt.format(name) for name in names], model.context_length)
    read = model.encode_text(tokens, normalize=True)
    blocks = [model.encode_image(to_input(block), normalize=True) for block in images.split(ANSWER_BATCH)]
    seen = torch.cat(blocks)
    soft = (model.logit_scale.exp() * seen @ read.T).softmax(dim=1)
    return ClipAnswers(seen.numpy(), soft.numpy())
