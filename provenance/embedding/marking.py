"""Marking one image file: open it, mix the mark in, write it like its source, check that the mark survived."""

import hashlib
import zlib
from dataclasses import dataclass

import numpy as np

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.raster import Raster, pattern_channels
from provenance.embedding.sources import open_source
from provenance.embedding.survival import MIN_SURVIVAL, bands, mean_change, psnr_of, survival
from provenance.embedding.windows import size_of, window_of, write_window
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
    source = open_source(data, lambda height, width: family.region(height, width, placement))
    region = family.region(*size_of(source), placement)
    under = window_of(source, region)
    intended = marked_pixels(under, family, pattern, placement)
    colours = slice(0, under.colours)
    before, wanted = under.pixels[..., colours], intended[..., colours]
    scale = 257 if under.peak > 255 else 1
    if mean_change(before, wanted) < family.least_change * scale:
        raise NotMarkableError(
            "The mark would change next to nothing: the image looks like the mark already, "
            "or is grey where the mark is a colour."
        )
    written = write_window(source, intended, region)
    kept = survival(before, wanted, written.pixels[..., colours])
    if kept < MIN_SURVIVAL:
        raise NotMarkableError("Too little of the mark survives in this file.", detail=f"{kept:.1%} of it.")
    return MarkedImage(
        data=written.data,
        sha256=hashlib.sha256(written.data).hexdigest(),
        crc32=zlib.crc32(written.data),
        mode=under.mode,
        psnr=round(psnr_of(written.squared, written.numbers, under.peak), 3),
        survival=round(kept, 4),
    )


def marked_pixels(under: Raster, family: Family, pattern: np.ndarray, placement: tuple[float, float]) -> np.ndarray:
    """The pixels of a region with the mark mixed in and rounded, before any encoding; (h, w, C) as they were."""
    channels = pattern_channels(under, pattern, family.black) if family.patterns_are_colours else pattern
    colours = slice(0, under.colours)
    levels = under.pixels[..., colours]
    levels = levels / _LEVELS_OF_16_BITS if under.peak > 255 else np.ascontiguousarray(levels)
    intended = under.pixels.copy()
    for rows in bands(levels.shape, MIXED_AT_ONCE):
        mixed = family.mix(levels, channels, placement, rows)
        if under.peak > 255:
            mixed *= _LEVELS_OF_16_BITS
        intended[rows][..., colours] = np.clip(np.rint(mixed, out=mixed), 0, under.peak, out=mixed)
    return intended
