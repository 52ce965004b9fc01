"""What all objectives are to the loop that trains them."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TypeVar

import torch
from torch import Generator, Tensor, nn

from audits.pilots.augmentation import channels_first, to_input, view
from audits.pilots.encoders import Encoder, build_encoder
from audits.pilots.recipe import TrainingSettings

Views = tuple[Tensor, ...]
Part = TypeVar("Part", bound=nn.Module)


class Objective(nn.Module, ABC):
    """Holds all that a training changes: what is kept, heads, slower copies, queues."""

    def __init__(self, settings: TrainingSettings) -> None:
        super().__init__()
        self.settings = settings

    @property
    @abstractmethod
    def model(self) -> nn.Module:
        """What is kept of a training, under the names of tensors that suspects read."""

    @property
    @abstractmethod
    def seeing(self) -> nn.Module:
        """The part that looks at pictures, which is worth compiling."""

    @abstractmethod
    def start_from(self, weights: Path) -> str:
        """Begin with given weights; their SHA-256. Raises TrainingError where they do not fit."""

    @abstractmethod
    def prepared(self, images: Tensor, generator: Generator) -> Views:
        """What one step sees of images ``(B, S, S, 3) uint8``."""

    @abstractmethod
    def loss(self, views: Views, chosen: Tensor) -> Tensor:
        """A number. chosen ``(B,)``: which images of the training set these are."""

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """``(B, d)`` of grey levels ``(B, 3, S, S)``, 0 to 255, as a trained model would say them."""

    def stepped(self, part: float) -> None:
        """After each of the optimiser's steps; part of all steps that are done."""

    def lowered(self, device: torch.device) -> torch.autocast:
        """Computes in bfloat16 where the settings ask for it."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.settings.bfloat16)


class OfViews(Objective):
    """An objective for one encoder and two views of every image."""

    def __init__(self, settings: TrainingSettings, classes: int | None = None) -> None:
        super().__init__(settings)
        self.encoder: Encoder = build_encoder(settings.encoder, settings.side, classes)

    @property
    def model(self) -> nn.Module:
        return self.encoder.network

    @property
    def seeing(self) -> nn.Module:
        return self.encoder

    def start_from(self, weights: Path) -> str:
        digest = self.encoder.start_from(weights)
        self.begun()
        return digest

    def begun(self) -> None:
        """After the encoder was given weights."""

    def prepared(self, images: Tensor, generator: Generator) -> Views:
        return self.drawn(images, generator, 2)

    def drawn(self, images: Tensor, generator: Generator, count: int) -> Views:
        """So many views, each drawn anew."""
        levels = channels_first(images).float()
        return tuple(to_input(view(levels, self.settings.augmentation, generator)) for _ in range(count))

    def seen(self, images: Tensor, by: Encoder | None = None) -> Tensor:
        """Features of network input."""
        with self.lowered(images.device):
            features: Tensor = (by or self.encoder)(images)[0]
        return features.float()

    def features(self, images: Tensor) -> Tensor:
        return self.seen(to_input(images))


def slow_copy(module: Part) -> Part:
    """A copy that learns by following alone."""
    return copy.deepcopy(module).requires_grad_(False)


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, momentum: float) -> None:
    """Each parameter keeps this part of itself and takes the rest from the one that learns."""
    for own, new in zip(slow.parameters(), fast.parameters(), strict=True):
        own.lerp_(new.detach(), 1 - momentum)


def rising(momentum: float, part: float) -> float:
    """From `momentum` to one along half a cosine (Grill et al. 2020, section 3.3)."""
    return 1 - (1 - momentum) * (math.cos(math.pi * part) + 1) / 2


def head(inputs: int, hidden: int, outputs: int, normalised: bool = True) -> nn.Sequential:
    """A projector or predictor of one hidden layer."""
    middle = [nn.BatchNorm1d(hidden)] if normalised else []
    return nn.Sequential(nn.Linear(inputs, hidden, bias=not normalised), *middle, nn.ReLU(), nn.Linear(hidden, outputs))
