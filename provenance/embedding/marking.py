"""Marking one image file: decode, mix the mark in, write in the same format, check that it survived."""

import hashlib
import zlib
from dataclasses import dataclass, replace

import numpy as np

from provenance.embedding.codecs import decode
from provenance.embedding.errors import NotMarkableError
from provenance.embedding.raster import Raster, pattern_channels
from provenance.embedding.survival import MIN_SURVIVAL, mean_change, psnr, survival
from provenance.marks.registry import Family


@dataclass(frozen=True)
class MarkedImage:
    """A marked file and its measures. `written_as` names the encoder that was good enough.

    `psnr`: in dB, over the colours of all pixels. `survival`: part of the mark's energy, as a decoder reads it.
    """

    data: bytes
    sha256: str
    crc32: int
    mode: str
    psnr: float
    survival: float
    written_as: str


def mark_image(data: bytes, family: Family, pattern: np.ndarray, placement: tuple[float, float]) -> MarkedImage:
    """Mark an image file and write it in its own format.

    Args:
        data: the file. pattern: one of the family's patterns. placement: fractions down and across.

    Raises: NotMarkableError where the file cannot be decoded or written back, where the image already looks like the
    pattern, or where no encoding keeps 70 % of the mark.
    """
    source = decode(data)
    pixels = source.raster.pixels
    region = family.region(pixels.shape[0], pixels.shape[1], placement)
    window = _window(region, source.raster.colours)
    intended = pixels.copy()
    intended[window[:2]] = marked_pixels(replace(source.raster, pixels=pixels[window[:2]]), family, pattern, placement)
    before, wanted = pixels[window], intended[window]
    scale = 257 if pixels.dtype == np.uint16 else 1
    if mean_change(before, wanted) < family.least_change * scale:
        raise NotMarkableError(
            "The mark would change next to nothing: the image looks like the mark already, "
            "or is grey where the mark is a colour."
        )
    best = 0.0
    for name, encode in source.encoders():
        written = encode(intended)
        again = decode(written)
        kept = survival(before, wanted, again.raster.pixels[window])
        best = max(best, kept)
        if kept >= MIN_SURVIVAL:
            # Of colours alone: alpha never changes, and an encoder may leave an opaque one out.
            first, second = pixels[:, :, : source.raster.colours], again.raster.pixels[:, :, : again.raster.colours]
            return MarkedImage(
                data=written,
                sha256=hashlib.sha256(written).hexdigest(),
                crc32=zlib.crc32(written),
                mode=again.raster.mode,
                psnr=round(psnr(first, second, source.raster.peak), 3),
                survival=round(kept, 4),
                written_as=name,
            )
    raise NotMarkableError("Too little of the mark survives in this file.", detail=f"At best {best:.1%} of it.")


def marked_pixels(under: Raster, family: Family, pattern: np.ndarray, placement: tuple[float, float]) -> np.ndarray:
    """The pixels of a region with the mark mixed in and rounded, before any encoding; (h, w, C) as they were."""
    channels = pattern_channels(under, pattern, family.black) if family.patterns_are_colours else pattern
    colours = under.pixels[..., : under.colours]
    mixed = family.mix(colours, channels, placement, out=np.empty(colours.shape, colours.dtype))
    if under.colours == under.pixels.shape[2]:
        return mixed
    return np.concatenate([mixed, under.pixels[..., under.colours :]], axis=2)


def _window(region: tuple[int, int, int, int], colours: int) -> tuple[slice, slice, slice]:
    top, left, height, width = region
    return slice(top, top + height), slice(left, left + width), slice(0, colours)
