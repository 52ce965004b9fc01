"""How good features are, without training anything on them: do nearest neighbours share a class, have they collapsed.

Weighted nearest neighbours after Wu et al. 2018, section 3.4; the spread after Chen and He 2021, section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from audits.pilots.augmentation import channels_first
from audits.pilots.checked import TrainingError
from audits.pilots.objectives import Objective
from audits.pilots.training_set import TrainingSet

NEIGHBOURS = 20
SHARPNESS = 0.07  # temperature of the votes
BATCH = 256


@dataclass(frozen=True)
class Watched:
    """Labelled images that are looked at after every epoch: ``(N, S, S, 3) uint8`` and ``(N,) int64``."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if len(self.images) < 2 or len(self.images) != len(self.labels):
            raise TrainingError("To watch a training takes two labelled images or more.")

    @classmethod
    def some_of(cls, data: TrainingSet, most: int = 1000) -> Watched | None:
        """Evenly spaced images of a training set, where it has classes."""
        if data.labels is None or len(data) < 2:
            return None
        chosen = np.unique(np.linspace(0, len(data) - 1, min(most, len(data)), dtype=np.int64))
        return cls(data.images[chosen], data.labels[chosen])


@dataclass(frozen=True)
class Seen:
    """What was seen of an encoder: part of images whose neighbours vote for their class, and the features' spread."""

    accuracy: float
    spread: float


@torch.inference_mode()
def look(objective: Objective, at: Watched, device: torch.device) -> Seen:
    """Every image is asked about against all others."""
    objective.eval()
    images = channels_first(torch.from_numpy(at.images))
    blocks = [objective.features(block.to(device).float()) for block in images.split(BATCH)]
    features = torch.cat(blocks).float()
    labels = torch.from_numpy(at.labels).to(device)
    return Seen(nearest_accuracy(features, labels), spread(features))


def nearest_accuracy(features: Tensor, labels: Tensor) -> float:
    """Of features ``(N, d)`` and labels ``(N,)``; nobody votes for himself."""
    unit = functional.normalize(features, dim=1)
    neighbours, classes = min(NEIGHBOURS, len(unit) - 1), int(labels.max()) + 1
    right = 0
    for start in range(0, len(unit), BATCH):
        likeness = unit[start : start + BATCH] @ unit.T
        likeness[torch.arange(len(likeness)), torch.arange(start, start + len(likeness))] = -torch.inf
        near, which = likeness.topk(neighbours, dim=1)
        votes = torch.zeros(len(near), classes, device=unit.device)
        votes.scatter_add_(1, labels[which], (near / SHARPNESS).exp())
        right += int((votes.argmax(dim=1) == labels[start : start + BATCH]).sum())
    return right / len(unit)


def spread(features: Tensor) -> float:
    """Deviation of features ``(N, d)`` of length one over that of random directions: 0 collapsed, about 1 at best."""
    unit = functional.normalize(features, dim=1)
    return float(unit.std(dim=0, correction=0).mean()) * features.shape[1] ** 0.5
