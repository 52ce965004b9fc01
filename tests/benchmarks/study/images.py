"""CIFAR-10 for the study: the owner's pool, other images for references, and foreign ones for the labels."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from provenance.marks.blocking_file import NO_BLOCK

from provenance.marks import ImageBlocks

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Labelled:
    """Images ``(n, 32, 32, 3) uint8`` and their classes ``(n,) int64``."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def part(self, which: NDArray[np.int64]) -> Labelled:
        return Labelled(self.images[which], self.labels[which])


def cifar(archive: Path, part: str) -> Labelled:
    """All of "train" or "test": the first image of every class, then the second, and so on."""
    found: list[tuple[str, str, bytes]] = []
    with zipfile.ZipFile(archive) as pack:
        for name in sorted(pack.namelist()):
            pieces = name.split("/")
            if len(pieces) >= 3 and pieces[-3] == part and pieces[-1]:
                found.append((pieces[-1], pieces[-2], pack.read(name)))
    found.sort(key=lambda item: item[:2])
    images = np.stack([np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for _, _, data in found])
    return Labelled(images, np.array([CLASSES.index(label) for _, label, _ in found]))


def blocks_by_class(labels: NDArray[np.int64], size: int) -> ImageBlocks:
    """Blocks of `size` images of one class that follow each other; what is left of a class is in none."""
    block_of, made = np.full(len(labels), NO_BLOCK, dtype=np.int32), 0
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        count = len(own) // size
        block_of[own[: count * size]] = made + np.repeat(np.arange(count), size)
        made += count
    return ImageBlocks(np.arange(len(labels), dtype=np.int32), block_of)
