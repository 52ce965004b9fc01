"""The loop that all methods share: batches, schedule, checkpoints, and what is told on the way.

Everything runs in the calling process and thread: no data-loading workers, which a daemonic worker process could not
start. Images lie on the device, and views are made there.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from audits.pilots.checked import TrainingError
from audits.pilots.checkpoints import Checkpoint, read_checkpoint
from audits.pilots.nearest import Watched, look
from audits.pilots.objectives import Objective, objective_of
from audits.pilots.recipe import DEVIATION, MEAN, TINY_CLIP, TrainingSettings, steps_of
from audits.pilots.threads import linear_algebra_threads
from audits.pilots.training_set import TrainingSet
from provenance.canonical import canonical_json

__all__ = ["EpochPoint", "Following", "Progress", "Trained", "Watched", "device_here", "save_weights", "train"]

WARM_UP = 0.05  # part of all steps over which the learning rate rises
ORDER, AUGMENTATION, DROPPING = 1, 2, 3  # streams of random numbers beside the one that initialises


@dataclass(frozen=True)
class EpochPoint:
    """One epoch: mean loss, and what was seen of the encoder where labelled images are watched."""

    epoch: int
    loss: float
    accuracy: float | None = None
    spread: float | None = None


@dataclass(frozen=True)
class Progress:
    """How far a run is, told after every few steps."""

    step: int
    steps: int
    epoch: int
    loss: float
    images_per_second: float
    curve: tuple[EpochPoint, ...]  # of every finished epoch


@dataclass(frozen=True)
class Trained:
    """A trained model with what is worth knowing about its training."""

    model: nn.Module
    settings: TrainingSettings
    curve: tuple[EpochPoint, ...]
    seconds: float
    begun_with: str = ""  # SHA-256 of given weights

    @property
    def losses(self) -> tuple[float, ...]:
        """Mean loss of every epoch."""
        return tuple(point.loss for point in self.curve)

    def save(self, folder: Path) -> Path:
        """Write ``model.safetensors``, ``training.json`` and for CLIP open_clip's own; returns the weights' path."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = folder / "model.safetensors"
        save_weights(self.model, weights)
        if self.settings.learns_from == "captions":
            description = {"model_cfg": TINY_CLIP, "preprocess_cfg": {"mean": MEAN, "std": DEVIATION}}
            (folder / "open_clip_config.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        facts: dict[str, Any] = {"settings": self.settings.to_json(), "begun_with": self.begun_with}
        facts |= {"curve": [asdict(point) for point in self.curve], "seconds": round(self.seconds, 1)}
        (folder / "training.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        return weights


def save_weights(model: nn.Module, path: Path) -> None:
    """The state dict as safetensors."""
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)


@dataclass(frozen=True)
class Following:
    """Who is told of a training; whatever one of them raises ends it, and the last checkpoint stays."""

    progress: Callable[[Progress], None] | None = None  # about every ten steps
    watched: Watched | None = None  # looked at after every epoch
    epoch_done: Callable[[int, Objective], None] | None = None  # before the epoch's checkpoint, in evaluation mode


def train(
    data: TrainingSet,
    settings: TrainingSettings,
    following: Following | None = None,
    *,
    checkpoint: Path | None = None,
    begin_with: Path | None = None,
    device: torch.device | str = "cpu",
) -> Trained:
    """Train a model; the same settings and data give the same model on one machine's CPU.

    checkpoint: where to go on from, and written after every epoch. begin_with: safetensors weights to tune. Raises
    TrainingError for unfit data, weights or checkpoints, or a loss that is no number.
    """
    if len(data) < settings.batch_size:
        raise TrainingError(f"{len(data)} images do not fill one batch of {settings.batch_size}.")
    if data.images.shape[1:3] != (settings.side, settings.side):
        side = settings.side
        raise TrainingError(f"The images are {data.images.shape[1:3]}, the network expects {side} by {side}.")
    device = torch.device(device)
    with linear_algebra_threads(settings.threads), _own_random_numbers(settings, device):
        run = _Run(data, settings, following or Following(), begin_with, device)
        run.go_on_from(checkpoint)
        while run.epoch < settings.epochs:
            run.one_epoch()
            run.store(checkpoint)
        return Trained(run.objective.model.eval(), settings, tuple(run.curve), run.seconds, run.begun_with)


def device_here() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def _own_random_numbers(settings: TrainingSettings, device: torch.device) -> Iterator[None]:
    """The caller's global random numbers are left alone; initialisation has those of the bare seed."""
    devices = [torch.cuda.current_device() if device.index is None else device.index] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(settings.seed)
        yield


def _stream(settings: TrainingSettings, number: int) -> int:
    return int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])


class _Run:
    """A training between its first epoch and its last."""

    def __init__(
        self,
        data: TrainingSet,
        settings: TrainingSettings,
        following: Following,
        begin_with: Path | None,
        device: torch.device,
    ) -> None:
        self.data, self.settings, self.following, self.device = data, settings, following, device
        self.images = torch.from_numpy(data.images).to(device)
        self.objective = objective_of(settings, data)
        self.begun_with = self.objective.start_from(begin_with) if begin_with else ""
        self.objective.to(device)
        if settings.compiled and device.type == "cuda":
            self.objective.seeing.compile()
        self.optimiser = _optimiser(self.objective, settings)
        self.augmentation = torch.Generator(device).manual_seed(_stream(settings, AUGMENTATION))
        torch.manual_seed(_stream(settings, DROPPING))
        self.epoch, self.curve, self.before = 0, list[EpochPoint](), 0.0
        self.started, self.steps_here = time.monotonic(), 0

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.started

    def one_epoch(self) -> None:
        """All batches once, then a look at the encoder."""
        self.objective.train()
        per_epoch = len(self.data) // self.settings.batch_size
        total = torch.zeros((), dtype=torch.float64, device=self.device)  # there, so that no step waits for it
        for number, chosen in enumerate(batches(len(self.data), self.settings, self.epoch)):
            step = self.epoch * per_epoch + number
            loss = self._one_step(chosen.to(self.device), step)
            total += loss
            self._tell(step + 1, loss)
        mean = total.item() / per_epoch
        if not math.isfinite(mean):
            raise TrainingError("The training diverged; lower the learning rate.")
        self.epoch += 1
        self.curve.append(self._seen(EpochPoint(self.epoch, mean)))
        if self.following.epoch_done is not None:
            self.following.epoch_done(self.epoch, self.objective.eval())

    def _one_step(self, chosen: Tensor, step: int) -> Tensor:
        steps = steps_of(self.settings, len(self.data))
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * rate(step, steps)
        views = self.objective.prepared(self.images[chosen], self.augmentation)
        loss = self.objective.loss(views, chosen)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.objective.stepped((step + 1) / steps)
        self.steps_here += 1
        return loss.detach()

    def _tell(self, step: int, loss: Tensor) -> None:
        steps = steps_of(self.settings, len(self.data))
        if self.following.progress is None or (step % 10 and step != steps):
            return
        speed = self.steps_here * self.settings.batch_size / max(1e-9, time.monotonic() - self.started)
        self.following.progress(Progress(step, steps, self.epoch + 1, loss.item(), speed, tuple(self.curve)))

    def _seen(self, point: EpochPoint) -> EpochPoint:
        if self.following.watched is None:
            return point
        seen = look(self.objective, self.following.watched, self.device)
        return replace(point, accuracy=seen.accuracy, spread=seen.spread)

    @cached_property
    def subject(self) -> str:
        """What makes a checkpoint this training's own."""
        digest = hashlib.sha256(np.ascontiguousarray(self.data.images).data)
        for more in (self.data.captions, None if self.data.labels is None else self.data.labels.tolist()):
            digest.update(json.dumps(more).encode())
        said: dict[str, Any] = {"settings": self.settings.to_json(), "data": digest.hexdigest()}
        return canonical_json(said | {"begun_with": self.begun_with, "device": self.device.type}).decode()

    def store(self, path: Path | None) -> None:
        if path is None:
            return
        on_gpu = self.device.type == "cuda"
        Checkpoint(
            subject=self.subject,
            epoch=self.epoch,
            objective=self.objective.state_dict(),
            optimiser=self.optimiser.state_dict(),
            augmentation=self.augmentation.get_state(),
            random=torch.get_rng_state(),
            device_random=torch.cuda.get_rng_state(self.device) if on_gpu else None,
            curve=[asdict(point) for point in self.curve],
            seconds=self.seconds,
        ).save(path)

    def go_on_from(self, path: Path | None) -> None:
        state = read_checkpoint(path, self.subject) if path is not None else None
        if state is None:
            return
        self.objective.load_state_dict(state.objective)
        self.optimiser.load_state_dict(dict(state.optimiser))
        self.augmentation.set_state(state.augmentation)
        torch.set_rng_state(state.random)
        if state.device_random is not None:
            torch.cuda.set_rng_state(state.device_random, self.device)
        self.epoch, self.before = state.epoch, state.seconds
        self.curve = [EpochPoint(**point) for point in state.curve]


def _optimiser(objective: Objective, settings: TrainingSettings) -> torch.optim.Optimizer:
    trained = [p for p in objective.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.ndim >= 2]
    others = [p for p in trained if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), eps=1e-6, fused=True)


def rate(step: int, steps: int) -> float:
    """Part of the peak learning rate at a step: linear rise, then half a cosine."""
    rise = max(1, round(WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def batches(count: int, settings: TrainingSettings, epoch: int) -> Iterator[Tensor]:
    """Which images ``(batch_size,)`` each step of an epoch takes, from 0; an incomplete last batch is left out."""
    order = np.random.default_rng([settings.seed, ORDER, epoch]).permutation(count)
    for start in range(0, count - settings.batch_size + 1, settings.batch_size):
        yield torch.from_numpy(order[start : start + settings.batch_size])
