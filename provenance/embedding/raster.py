"""Stored pixels of an image in its own mode, and a pattern in the same channels.

Grey images get the pattern's luminance, CMYK images its inks (no black), alpha stays, 16 bits are marked at 16 bits
(docs/method.md, section 2.5).
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from provenance.embedding.errors import NotMarkableError

MODES = ("L", "RGB", "RGBA", "CMYK")  # of JPEG and WebP; PNG is read from its own samples


@dataclass(frozen=True)
class Raster:
    """Decoded stored pixels.

    Attributes:
        mode: Pillow's mode of the file.
        pixels: (H, W, C) uint8, or uint16 where the file has 16 bits. Palette images are spread to RGB or RGBA here.
        colours: how many leading channels are colour; the rest is alpha and never changes.
    """

    mode: str
    pixels: np.ndarray
    colours: int

    @property
    def peak(self) -> int:
        return 65535 if self.pixels.dtype == np.uint16 else 255


def read_raster(image: Image.Image) -> Raster:
    """The stored pixels of an opened JPEG or WebP. Raises NotMarkableError for modes that cannot be written back."""
    if image.mode not in MODES:
        raise NotMarkableError(f"Pixels of mode {image.mode} cannot be written back as they were.")
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    channels = pixels.shape[2]
    return Raster(image.mode, pixels, channels - 1 if image.mode == "RGBA" else channels)


def pattern_channels(mode: str, colours: int, pattern: np.ndarray, black: int) -> np.ndarray:
    """A pattern (..., 3) uint8 RGB in a raster's colour channels: (..., colours) uint8.

    `black` is what a CMYK image's fourth ink gets: none of it for a pattern that covers, the middle for one that adds.
    """
    if mode == "CMYK":
        return np.concatenate([255 - pattern, np.full_like(pattern[..., :1], black)], axis=-1)
    if colours == 1:
        weights = np.array([19595, 38470, 7471])  # ITU-R 601-2 luma in 1/65536, as Pillow has it
        luma = (pattern.astype(np.int64) @ weights + 32768) >> 16
        return luma[..., None].astype(np.uint8)
    return pattern
