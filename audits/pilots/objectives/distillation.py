"""Self-distillation without labels, after DINO."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from audits.pilots.augmentation import channels_first, to_input, view
from audits.pilots.methods import Dino
from audits.pilots.objectives.objective import OfViews, Views, follow, rising, slow_copy
from audits.pilots.recipe import TrainingSettings

LARGE, SMALL = 0.4, 0.05  # least share of an image in a large and in a small crop, which goes up to LARGE


class PrototypeHead(nn.Module):
    """A hidden layer, a bottleneck of length one, and cosines to the prototypes."""

    def __init__(self, inputs: int, method: Dino) -> None:
        super().__init__()
        self.bottleneck = nn.Sequential(
            nn.Linear(inputs, method.hidden), nn.GELU(), nn.Linear(method.hidden, method.outputs)
        )
        self.prototypes = nn.Parameter(torch.randn(method.prototypes, method.outputs))

    def forward(self, features: Tensor) -> Tensor:
        return functional.normalize(self.bottleneck(features), dim=1) @ functional.normalize(self.prototypes, dim=1).T


class DinoObjective(OfViews):
    """Caron et al. 2021, algorithm 1. Small crops are sized up to the images' size, so any encoder takes them."""

    centre: Tensor

    def __init__(self, settings: TrainingSettings, method: Dino) -> None:
        super().__init__(settings)
        self.method = method
        self.prototypes = PrototypeHead(self.encoder.size, method)
        self.begun()
        self.register_buffer("centre", torch.zeros(method.prototypes))

    def begun(self) -> None:
        self.slow_encoder, self.slow_prototypes = slow_copy(self.encoder), slow_copy(self.prototypes)

    def prepared(self, images: Tensor, generator: Generator) -> Views:
        levels, plain = channels_first(images).float(), self.settings.augmentation
        large = replace(plain, smallest_crop=max(LARGE, plain.smallest_crop))
        small = replace(plain, smallest_crop=SMALL, largest_crop=LARGE)
        drawn = [large, large] + [small] * self.method.small_crops
        return tuple(to_input(view(levels, one, generator)) for one in drawn)

    def loss(self, views: Views, chosen: Tensor) -> Tensor:
        with torch.no_grad():
            told = self.slow_prototypes(self.seen(torch.cat(views[:2]), self.slow_encoder))
            targets = ((told - self.centre) / self.method.teacher_temperature).softmax(dim=1).split(len(chosen))
            self._told = told.mean(dim=0)
        said = self.prototypes(self.seen(torch.cat(views)))
        logs = (said / self.method.temperature).log_softmax(dim=1).split(len(chosen))
        pairs = [(target, log) for i, target in enumerate(targets) for j, log in enumerate(logs) if i != j]
        return torch.stack([-(target * log).sum(dim=1).mean() for target, log in pairs]).mean()

    @torch.no_grad()
    def stepped(self, part: float) -> None:
        momentum = rising(self.method.momentum, part)
        follow(self.slow_encoder, self.encoder, momentum)
        follow(self.slow_prototypes, self.prototypes, momentum)
        self.centre.lerp_(self._told, 1 - self.method.centring)
