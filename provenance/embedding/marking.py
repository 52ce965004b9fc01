"""Marking one image file: open it, mix the mark in, write it like its source, check that the mark survived."""

import hashlib
import zlib
from dataclasses import dataclass

import numpy as np

from provenance.embedding.carried import claims, with_thumbnails
from provenance.embedding.errors import NotCarriedError, NotMarkableError
from provenance.embedding.raster import Raster, pattern_channels
from provenance.embedding.sources import Source, open_source
from provenance.embedding.survival import MAX_SURVIVAL, MIN_SURVIVAL, psnr_of
from provenance.embedding.windows import RasterChange, is_windowed, size_of
from provenance.embedding.written import Change
from provenance.marks.registry import Family

WRITTEN_AS = "source"  # the only way; releases made before know others


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

    Raises: NotMarkableError where the file could not be written like itself, where it claims or shows what would be
    false afterwards; NotCarriedError where the image already looks like the pattern, or where the written file keeps
    less than 70 % of the mark, or more than 130 %.
    """
    if claimed := claims(data):
        raise NotMarkableError(claimed[0])
    source = open_source(data, lambda height, width: family.region(height, width, placement))
    change = _changed(source, family, pattern, placement)
    if change.mean < family.least_change * (257 if change.peak > 255 else 1):
        raise NotCarriedError(
            "The mark would change next to nothing: the image looks like the mark already, "
            "or is grey where the mark is a colour."
        )
    written = change.write()
    _check(written.survival)
    whole = with_thumbnails(written.data, data, written.seen)
    return MarkedImage(
        data=whole,
        sha256=hashlib.sha256(whole).hexdigest(),
        crc32=zlib.crc32(whole),
        mode=change.mode,
        psnr=round(psnr_of(written.squared, written.numbers, change.peak), 3),
        survival=round(written.survival, 4),
    )


def _check(survival: float) -> None:
    if survival < MIN_SURVIVAL:
        raise NotCarriedError("Too little of the mark survives in this file.", detail=f"{survival:.1%} of it.")
    if survival > MAX_SURVIVAL:
        raise NotCarriedError(
            "This file would hold a far stronger mark than was meant.", detail=f"{survival:.1%} of it."
        )


def _changed(source: Source, family: Family, pattern: np.ndarray, placement: tuple[float, float]) -> Change:
    """A source with the mark in its region."""
    region = family.region(*size_of(source), placement)
    if not is_windowed(source):
        return RasterChange(
            source, region, lambda under: marked_pixels(under, family, pattern, placement), family.smooths
        )
    if family.patterns_are_colours:
        pattern = pattern_channels(source.mode, source.colours, pattern, family.black)
    return source.changed(family.by_rows(*region[2:], pattern, placement), region)


def marked_pixels(under: Raster, family: Family, pattern: np.ndarray, placement: tuple[float, float]) -> np.ndarray:
    """The pixels of a region with the mark mixed in and rounded, before any encoding; (h, w, C) as they were."""
    if family.patterns_are_colours:
        pattern = pattern_channels(under.mode, under.colours, pattern, family.black)
    colours = under.pixels[..., : under.colours]
    mixed = family.mix(colours, pattern, placement, out=np.empty(colours.shape, colours.dtype))
    if under.colours == under.pixels.shape[2]:
        return mixed
    return np.concatenate([mixed, under.pixels[..., under.colours :]], axis=2)
