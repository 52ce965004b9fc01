"""Marking one image file: open it, mix the mark in, write it like its source, check that the mark survived."""

import hashlib
import zlib
from dataclasses import dataclass

import numpy as np

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.raster import Raster, pattern_channels
from provenance.embedding.sources import decode, open_source
from provenance.embedding.survival import MIN_SURVIVAL, bands, mean_change, psnr, survival
from provenance.marks.registry import Family

_LEVELS_OF_16_BITS = np.float32(257)  # per grey level of eight bits
WRITTEN_AS = "source"  # the only way; releases made before know others
MIXED_AT_ONCE = 1 << 22  # numbers of a large image that are marked together, 16 MiB each time they are held as floats


@dataclass(frozen=True)
class MarkedImage:
    """A marked file and its measures.

    `psnr`: in dB, over the colours of all pixels. `survival`: part of the mark's energy, as a decoder reads it.
    """

    data: bytes
    sha256: str
    crc32: int
    mode: str
    psnr: float
    survival: float


def mark_image(data: bytes, family: Family, pattern: np.ndarray, placement: tuple[float, float]) -> MarkedImage:
    """Mark an image file and write it like its source.

    Args:
        data: the file. pattern: one of the family's patterns. placement: fractions down and across.

    Raises: NotMarkableError where the file could not be written like itself, where the image already looks like the
    pattern, or where the written file keeps less than 70 % of the mark.
    """
    source = open_source(data)
    raster = source.raster
    region = family.region(raster.pixels.shape[0], raster.pixels.shape[1], placement)
    intended = marked_pixels(raster, family, pattern, placement)
    window = _window(region, raster.colours)
    before, wanted = raster.pixels[window], intended[window]
    scale = 257 if raster.peak > 255 else 1
    if mean_change(before, wanted) < family.least_change * scale:
        raise NotMarkableError(
            "The mark would change next to nothing: the image looks like the mark already, "
            "or is grey where the mark is a colour."
        )
    written = source.write(intended, region)
    again = decode(written)
    kept = survival(before, wanted, again.pixels[window])
    if kept < MIN_SURVIVAL:
        raise NotMarkableError("Too little of the mark survives in this file.", detail=f"{kept:.1%} of it.")
    # Of colours alone: alpha never changes.
    first, second = raster.pixels[:, :, : raster.colours], again.pixels[:, :, : again.colours]
    return MarkedImage(
        data=written,
        sha256=hashlib.sha256(written).hexdigest(),
        crc32=zlib.crc32(written),
        mode=again.mode,
        psnr=round(psnr(first, second, raster.peak), 3),
        survival=round(kept, 4),
    )


def marked_pixels(raster: Raster, family: Family, pattern: np.ndarray, placement: tuple[float, float]) -> np.ndarray:
    """The stored pixels with the mark mixed in and rounded, before any encoding; (H, W, C) as the raster's."""
    window = _window(family.region(raster.pixels.shape[0], raster.pixels.shape[1], placement), raster.colours)
    channels = pattern_channels(raster, pattern, family.black) if family.patterns_are_colours else pattern
    under = raster.pixels[window]
    levels = under / _LEVELS_OF_16_BITS if raster.peak > 255 else np.ascontiguousarray(under)
    intended = raster.pixels.copy()
    for rows in bands(under.shape, MIXED_AT_ONCE):
        mixed = family.mix(levels, channels, placement, rows)
        if raster.peak > 255:
            mixed *= _LEVELS_OF_16_BITS
        intended[window][rows] = np.clip(np.rint(mixed, out=mixed), 0, raster.peak, out=mixed)
    return intended


def _window(region: tuple[int, int, int, int], colours: int) -> tuple[slice, slice, slice]:
    top, left, height, width = region
    return slice(top, top + height), slice(left, left + width), slice(0, colours)
