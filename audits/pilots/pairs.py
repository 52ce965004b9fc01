"""Image-text pairs for training, read into memory from a folder and its captions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from audits.pilots.recipe import TrainingError
from provenance.intake.grey import eight_bits

MOST_BYTES = 2 * 1024**3  # decoded images that one training run may hold


@dataclass(frozen=True)
class Pairs:
    """Images ``(N, S, S, 3) uint8`` and their N captions, in one order."""

    images: NDArray[np.uint8]
    captions: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[3] != 3 or self.images.dtype != np.uint8:
            raise TrainingError("Images for training are an array (number, side, side, 3) of bytes.")
        if len(self.images) != len(self.captions):
            raise TrainingError(f"{len(self.images)} images came with {len(self.captions)} captions.")

    def __len__(self) -> int:
        return len(self.captions)


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


def read_pairs(
    folder: Path,
    captions: Mapping[str, str] | Iterable[tuple[str, str]],
    side: int,
    progress: Callable[[int, int], None] | None = None,
) -> Pairs:
    """Read every image that has a caption, sorted by path so that the order does not depend on the disk.

    folder: where the paths begin. captions: by path, ``/`` between folders. side: of the decoded images, in pixels.
    progress: called with (done, total). Raises TrainingError for no pair, a missing file, or more than memory should
    hold.
    """
    listed = sorted(dict(captions).items())
    if not listed:
        raise TrainingError("There is no image with a caption to train on.")
    if len(listed) * side * side * 3 > MOST_BYTES:
        raise TrainingError("These images do not fit in memory at this size; train on fewer or on smaller ones.")
    images = np.empty((len(listed), side, side, 3), dtype=np.uint8)
    for index, (path, _) in enumerate(listed):
        try:
            images[index] = read_image(folder / path, side)
        except OSError as error:
            raise TrainingError(f"The image {path} cannot be read for training.") from error
        if progress is not None and (index % 500 == 0 or index + 1 == len(listed)):
            progress(index + 1, len(listed))
    return Pairs(images, tuple(caption for _, caption in listed))
