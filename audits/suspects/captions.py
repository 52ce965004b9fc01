"""Captions of images, as the model's own text tower reads them.

Of a suspect that happens in the child only: embeddings never leave it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from audits.suspects.clip_models import TextTower, config_of, text_tower
from audits.suspects.errors import SuspectError
from audits.suspects.formats import inspect
from audits.suspects.spec import ModelSpec
from audits.suspects.weights import read_tensors


class Captions:
    """Embeddings of captions, by the name of the images that they belong to."""

    def __init__(self, opened: Callable[[], TextTower], device: torch.device) -> None:
        """opened: gives the text tower, at the first captions; device: where features lie."""
        self._opened, self._device = opened, device
        self._tower: TextTower | None = None
        self._read: dict[str, Tensor] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._read

    def take(self, name: str, sent: NDArray[np.uint8], images: int) -> None:
        """sent: JSON of one caption for each of the images, as UTF-8. Raises SuspectError."""
        texts = json.loads(sent.tobytes())
        if len(texts) != images or not all(isinstance(text, str) for text in texts):
            raise SuspectError("request", "Send one caption for every image.")
        self.load(name, texts)

    def load(self, name: str, texts: Sequence[str]) -> None:
        """Those of the images of this name, in their order; earlier ones are replaced."""
        if self._tower is None:
            self._tower = self._opened()
        self._read[name] = self._tower.read(texts).to(self._device)

    def forget(self, name: str) -> None:
        self._read.pop(name, None)

    def cosines(self, name: str, indices: Tensor, features: Tensor) -> Tensor:
        """(B,) of features (B, d) with the captions of images `indices` (B,) of this name."""
        return (functional.normalize(features, dim=1) * self._read[name][indices]).sum(dim=1)


def tower_of(spec: ModelSpec, path: Path) -> TextTower:
    """The text tower of a file of weights."""
    return text_tower(config_of(spec), spec, read_tensors(path, inspect(path).format))
