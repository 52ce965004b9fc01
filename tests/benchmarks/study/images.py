"""CIFAR-10 for the study: the owner's pool, other images for references, and foreign ones for the labels."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from provenance.embedding.versions import both_versions
from provenance.marks import ImageBlocks, VersionsSettings
from provenance.marks.blocking_file import NO_BLOCK
from tests.benchmarks.study.cells import Cell

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Labelled:
    """Images ``(n, S, S, 3) uint8``, their classes ``(n,) int64`` and their places in the archive ``(n,) int64``."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    numbers: NDArray[np.int64]

    def part(self, which: NDArray[np.int64]) -> Labelled:
        return Labelled(self.images[which], self.labels[which], self.numbers[which])

    @property
    def captions(self) -> tuple[str, ...]:
        """The class and three of 1,000 words that nobody could guess from the picture."""
        return tuple(
            " ".join(
                (CLASSES[label], *(f"w{word:03d}" for word in np.random.default_rng([7, number]).integers(0, 1000, 3)))
            )
            for label, number in zip(self.labels, self.numbers.tolist(), strict=True)
        )

    def scaled(self, side: int) -> Labelled:
        if self.images.shape[1] == side:
            return self
        scaled = [
            np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC)) for one in self.images
        ]
        return Labelled(np.stack(scaled), self.labels, self.numbers)


def cifar(archive: Path, part: str, most: int | None = None) -> Labelled:
    """The first images of "train" or "test": the first of every class, then the second of every class, and so on."""
    with zipfile.ZipFile(archive) as pack:
        pieces = [(name, name.split("/")) for name in pack.namelist()]
        names = [(split[-1], split[-2], name) for name, split in pieces if len(split) >= 3 and split[-3] == part]
        listed = sorted(name for name in names if name[0])[:most]
        images = [np.asarray(Image.open(io.BytesIO(pack.read(name))).convert("RGB")) for _, _, name in listed]
    labels = np.array([CLASSES.index(label) for _, label, _ in listed])
    return Labelled(np.stack(images), labels, np.arange(len(labels)))


def pool_of(cell: Cell, pictures: Labelled) -> Labelled:
    """What the key chooses among, then all other pictures: of versions, both of each in the pool, one of the others."""
    pictures = pictures.scaled(cell.side)
    if not cell.versions:
        return pictures
    own = np.repeat(np.arange(cell.pictures), 2)
    signs = np.tile([1, -1], cell.pictures)
    others = np.arange(cell.pictures, len(pictures.labels))
    chosen = np.concatenate([own, others])
    signs = np.concatenate([signs, np.random.default_rng(11).choice([1, -1], len(others))])
    part = pictures.part(chosen)
    return Labelled(_versions(part, signs, cell.versions), part.labels, part.numbers)


def _versions(pictures: Labelled, signs: NDArray[np.int64], decibels: float) -> NDArray[np.uint8]:
    """One of the two versions that a release would make of each picture, taken as a PNG; decibels: from its source."""
    versions, settings = np.empty_like(pictures.images), VersionsSettings(decibels=decibels)
    for index, (image, sign) in enumerate(zip(pictures.images, signs, strict=True)):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        pair = both_versions(file.getvalue(), settings, hashlib.sha256(file.getvalue()).hexdigest())
        versions[index] = np.asarray(Image.open(io.BytesIO(pair[0 if sign > 0 else 1].data)))
    return versions


def blocks_by_class(labels: NDArray[np.int64], size: int) -> ImageBlocks:
    """Blocks of `size` images of one class that follow each other; what is left of a class is in none."""
    block_of, made = np.full(len(labels), NO_BLOCK, dtype=np.int32), 0
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        count = len(own) // size
        block_of[own[: count * size]] = made + np.repeat(np.arange(count), size)
        made += count
    return ImageBlocks(np.arange(len(labels), dtype=np.int32), block_of)
