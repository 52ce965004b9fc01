"""Probes and group images: read once, checked against the manifest, brought to the size of a model's input."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from provenance.errors import TouchmarkError
from provenance.intake.grey import eight_bits

FORMATS = ("JPEG", "PNG", "WEBP")


class ProbeImageError(TouchmarkError):
    """A file of the version is gone, has changed since it was registered, or cannot be decoded."""


def load_images(
    files: Sequence[tuple[Path, str]], size: int, on_image: Callable[[int], None] | None = None
) -> NDArray[np.uint8]:
    """Decode files to (N, size, size, 3) uint8: short edge resized to `size` (bicubic), then the centre.

    files: (path, SHA-256 in hex of the manifest) each; on_image is told how many are done and may raise to stop.
    EXIF orientation is applied; grey, palette, CMYK and 16-bit images become RGB; transparency is dropped, as
    training pipelines do. Raises ProbeImageError.
    """
    images = np.empty((len(files), size, size, 3), dtype=np.uint8)
    _load_into(images, files, on_image)
    return images


def _load_into(
    images: NDArray[np.uint8], files: Sequence[tuple[Path, str]], on_image: Callable[[int], None] | None
) -> None:
    for index, (path, sha256) in enumerate(files):
        images[index] = _load_one(path, sha256, images.shape[1])
        if on_image:
            on_image(index + 1)


def load_images_once(
    kept: Path, files: Sequence[tuple[Path, str]], size: int, on_image: Callable[[int], None] | None = None
) -> NDArray[np.uint8]:
    """The same, decoded into the file `kept` at the first call and mapped from it at every further one.

    One run asks several models of one input size; a run that was killed finds them there as well. They need not fit
    into memory together.
    """
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(".part")
        made: Any = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=(len(files), size, size, 3))
        _load_into(made, files, on_image)
        made.flush()
        part.replace(kept)
    images: NDArray[np.uint8] = np.load(kept, mmap_mode="r", allow_pickle=False)
    return images


def _load_one(path: Path, sha256: str, size: int) -> NDArray[np.uint8]:
    # No file is named: whoever reads the reason would learn that this image is not among the key's choice.
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProbeImageError(
            "An image of this version cannot be read any more. Check that its files are where they were.", _of(error)
        ) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ProbeImageError(
            "An image of this version has changed since it was registered. Put its files back as they were."
        )
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return _square(image, size)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ProbeImageError("An image of this version cannot be decoded.", _of(error)) from error


def _of(error: Exception) -> str:
    """The kind of an error, without the name of the file that its text may hold."""
    return type(error).__name__


def _square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    rgb = _as_rgb(ImageOps.exif_transpose(image))
    width, height = rgb.size
    if (width, height) != (size, size):
        scale = size / min(width, height)
        width, height = max(size, round(width * scale)), max(size, round(height * scale))
        rgb = rgb.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (width - size) // 2, (height - size) // 2
        rgb = rgb.crop((left, top, left + size, top + size))
    return np.asarray(rgb, dtype=np.uint8)


def _as_rgb(image: Image.Image) -> Image.Image:
    image = eight_bits(image)
    return image if image.mode == "RGB" else image.convert("RGB")
