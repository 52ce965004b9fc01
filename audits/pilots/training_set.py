"""What is trained on: images in memory, with captions or classes, read from a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from audits.pilots.checked import TrainingError
from provenance.intake.grey import eight_bits

MOST_BYTES = 2 * 1024**3  # decoded images that one training run may hold

Told = Callable[[int, int], None] | None


@dataclass(frozen=True)
class TrainingSet:
    """Images ``(N, S, S, 3) uint8`` and, where there are some, their N captions and classes ``(N,) int64``."""

    images: NDArray[np.uint8]
    captions: tuple[str, ...] | None = None
    labels: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[3] != 3 or self.images.dtype != np.uint8:
            raise TrainingError("Images for training are an array (number, side, side, 3) of bytes.")
        if self.captions is not None and len(self.images) != len(self.captions):
            raise TrainingError(f"{len(self.images)} images came with {len(self.captions)} captions.")
        if self.labels is not None and (self.labels.shape != (len(self.images),) or self.labels.min(initial=0) < 0):
            raise TrainingError(f"{len(self.images)} images need a class each, numbered from 0.")

    def __len__(self) -> int:
        return len(self.images)


def read_image(path: Path, side: int) -> NDArray[np.uint8]:
    """One file as ``(side, side, 3) uint8``: scaled by its short edge, then cropped at the centre."""
    with Image.open(path) as image:
        rgb = eight_bits(image).convert("RGB")
        scale = side / min(rgb.size)
        if scale != 1:
            size = (max(side, round(rgb.width * scale)), max(side, round(rgb.height * scale)))
            rgb = rgb.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
        left, top = (rgb.width - side) // 2, (rgb.height - side) // 2
        return np.asarray(rgb.crop((left, top, left + side, top + side)))


def read_images(folder: Path, paths: Sequence[str], side: int, progress: Told = None) -> NDArray[np.uint8]:
    """The files in this order as ``(N, side, side, 3) uint8``.

    progress: called with (done, total). Raises TrainingError for a missing file, or more than memory should hold.
    """
    if len(paths) * side * side * 3 > MOST_BYTES:
        raise TrainingError("These images do not fit in memory at this size; train on fewer or on smaller ones.")
    images = np.empty((len(paths), side, side, 3), dtype=np.uint8)
    for index, path in enumerate(paths):
        try:
            images[index] = read_image(folder / path, side)
        except OSError as error:
            raise TrainingError(f"The image {path} cannot be read for training.") from error
        if progress is not None and (index % 500 == 0 or index + 1 == len(paths)):
            progress(index + 1, len(paths))
    return images


def read_pairs(
    folder: Path, captions: Mapping[str, str] | Iterable[tuple[str, str]], side: int, progress: Told = None
) -> TrainingSet:
    """Every image that has a caption, sorted by path so that the order does not depend on the disk.

    folder: where the paths begin. captions: by path, ``/`` between folders. side: of the decoded images, in pixels.
    Raises TrainingError, also where there is no pair.
    """
    listed = sorted(dict(captions).items())
    if not listed:
        raise TrainingError("There is no image with a caption to train on.")
    images = read_images(folder, [path for path, _ in listed], side, progress)
    return TrainingSet(images, captions=tuple(caption for _, caption in listed))


def read_classes(folder: Path, classes: Mapping[str, str | None], side: int, progress: Told = None) -> TrainingSet:
    """Every image, sorted by path; with classes, numbered by their names, where every image has one."""
    listed = sorted(classes.items())
    if not listed:
        raise TrainingError("There is no image to train on.")
    images = read_images(folder, [path for path, _ in listed], side, progress)
    names = [name for _, name in listed if name]
    if len(names) < len(listed):
        return TrainingSet(images)
    return TrainingSet(images, labels=np.unique(names, return_inverse=True)[1].astype(np.int64))
