"""CIFAR-10 for the study: the owner's pool, other images for references, and foreign ones for the labels."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from provenance.marks import ImageBlocks
from provenance.marks.blocking_file import NO_BLOCK

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Labelled:
    """Images ``(n, 32, 32, 3) uint8`` and their classes ``(n,) int64``."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def part(self, which: NDArray[np.int64]) -> Labelled:
        return Labelled(self.images[which], self.labels[which])


def cifar(archive: Path, part: str, most: int | None = None) -> Labelled:
    """The first images of "train" or "test": the first of every class, then the second of every class, and so on."""
    with zipfile.ZipFile(archive) as pack:
        pieces = [(name, name.split("/")) for name in pack.namelist()]
        names = [(split[-1], split[-2], name) for name, split in pieces if len(split) >= 3 and split[-3] == part]
        listed = sorted(name for name in names if name[0])[:most]
        images = [np.asarray(Image.open(io.BytesIO(pack.read(name))).convert("RGB")) for _, _, name in listed]
    return Labelled(np.stack(images), np.array([CLASSES.index(label) for _, label, _ in listed]))


def blocks_by_class(labels: NDArray[np.int64], size: int) -> ImageBlocks:
    """Blocks of `size` images of one class that follow each other; what is left of a class is in none."""
    block_of, made = np.full(len(labels), NO_BLOCK, dtype=np.int32), 0
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        count = len(own) // size
        block_of[own[: count * size]] = made + np.repeat(np.arange(count), size)
        made += count
    return ImageBlocks(np.arange(len(labels), dtype=np.int32), block_of)
