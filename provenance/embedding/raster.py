"""Stored pixels of an image in its own mode, and a pattern in the same channels.

Grey images get the pattern's luminance, CMYK images its inks (no black), alpha stays, 16-bit grey is marked at 16 bits
(docs/method.md, section 2.5). Where one colour stands for transparent, its pixels are the same before and after.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from provenance.embedding.errors import NotMarkableError

MODES = ("1", "L", "LA", "I;16", "P", "RGB", "RGBA", "CMYK")


@dataclass(frozen=True)
class Raster:
    """Decoded stored pixels.

    Attributes:
        mode: Pillow's mode of the file.
        pixels: (H, W, C) uint8, or uint16 for 16-bit grey. Palette images are spread to RGB or RGBA here.
        colours: how many leading channels are colour; the rest is alpha and never changes.
        transparent: the colour that stands for transparent, in levels of `pixels`, where the file has no alpha.
    """

    mode: str
    pixels: np.ndarray
    colours: int
    transparent: tuple[int, ...] | None = None

    @property
    def peak(self) -> int:
        return 65535 if self.pixels.dtype == np.uint16 else 255


def read_raster(image: Image.Image, transparent: tuple[int, ...] | None = None) -> Raster:
    """The stored pixels of an opened image. Raises NotMarkableError for modes that cannot be written back."""
    mode = image.mode
    if mode == "1" and transparent is not None:
        raise NotMarkableError("Black or white stands for transparent here, so no pixel can change and be shown.")
    if mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif mode == "1":
        image = image.convert("L")
    elif mode not in MODES:
        raise NotMarkableError(f"Pixels of mode {mode} cannot be written back as they were.")
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.dtype == np.dtype(">u2"):
        pixels = pixels.astype(np.uint16)
    channels = pixels.shape[2]
    return Raster(mode, pixels, channels - 1 if image.mode in ("LA", "RGBA") else channels, transparent)


def pattern_channels(raster: Raster, pattern: np.ndarray, black: int) -> np.ndarray:
    """A pattern (..., 3) uint8 RGB in the raster's colour channels: (..., colours) uint8.

    `black` is what a CMYK image's fourth ink gets: none of it for a pattern that covers, the middle for one that adds.
    """
    if raster.mode == "CMYK":
        return np.concatenate([255 - pattern, np.full_like(pattern[..., :1], black)], axis=-1)
    if raster.colours == 1:
        weights = np.array([19595, 38470, 7471])  # ITU-R 601-2 luma in 1/65536, as Pillow has it
        luma = (pattern.astype(np.int64) @ weights + 32768) >> 16
        return luma[..., None].astype(np.uint8)
    return pattern


def as_written(raster: Raster, pixels: np.ndarray) -> Image.Image:
    """An image of the raster's mode from changed pixels; palette images come back as RGB or RGBA."""
    if raster.transparent is not None:
        pixels = _with_transparency(raster, pixels)
    flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    if raster.mode == "1":
        return Image.fromarray(np.where(flat >= 128, 255, 0).astype(np.uint8)).convert("1", dither=Image.Dither.NONE)
    if raster.mode == "CMYK":
        return Image.frombytes("CMYK", (flat.shape[1], flat.shape[0]), np.ascontiguousarray(flat).tobytes())
    return Image.fromarray(np.ascontiguousarray(flat))


def _with_transparency(raster: Raster, pixels: np.ndarray) -> np.ndarray:
    """Changed pixels of which the same ones have the transparent colour as before.

    Those that had it keep it; others that came to have it go one level back towards what they were.
    """
    key = np.array(raster.transparent, dtype=pixels.dtype)
    had, has = ((levels == key).all(axis=2) for levels in (raster.pixels, pixels))
    kept = pixels.copy()
    kept[had] = key
    hit = has & ~had
    kept[hit] = np.where(raster.pixels[hit] > key, key + 1, np.where(raster.pixels[hit] < key, key - 1, key))
    return kept
