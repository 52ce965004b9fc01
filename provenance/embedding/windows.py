"""Seeing and changing one region of a picture, without the rest of it where its format allows."""

from dataclasses import dataclass
from typing import Protocol, TypeGuard

import numpy as np

from provenance.embedding.raster import Raster
from provenance.embedding.sources import Region, Source, decode
from provenance.embedding.survival import squared_error


@dataclass(frozen=True)
class Written:
    """A file with other pixels, and what a decoder reads of it.

    `pixels`: (h, w, C) of the region. `squared`: summed squared differences from the source in colours, over the whole
    picture. `numbers`: how many these are.
    """

    data: bytes
    pixels: np.ndarray
    squared: int
    numbers: int


class Windowed(Source, Protocol):
    """A source of which single regions can be decoded and written. Pixels are (h, w, C) uint8, colours alone."""

    @property
    def size(self) -> tuple[int, int]: ...

    def window(self, region: Region) -> Raster: ...

    def write_window(self, wanted: np.ndarray, region: Region) -> tuple[bytes, np.ndarray, int]:
        """The file with these pixels in a region, the region as a decoder reads it, squared differences in all."""
        ...


def _is_windowed(source: Source) -> TypeGuard[Windowed]:
    return hasattr(type(source), "write_window")


def size_of(source: Source) -> tuple[int, int]:
    """Height and width in pixels."""
    if _is_windowed(source):
        return source.size
    height, width = source.raster.pixels.shape[:2]
    return height, width


def window_of(source: Source, region: Region) -> Raster:
    """A region's stored pixels."""
    if _is_windowed(source):
        return source.window(region)
    raster = source.raster
    return Raster(raster.mode, raster.pixels[_slices(region)], raster.colours)


def write_window(source: Source, wanted: np.ndarray, region: Region) -> Written:
    """The source with (h, w, C) pixels in a region. Raises NotMarkableError."""
    height, width = size_of(source)
    if _is_windowed(source):
        data, pixels, squared = source.write_window(wanted, region)
        return Written(data, pixels, squared, height * width * pixels.shape[2])
    raster = source.raster
    intended = raster.pixels.copy()
    intended[_slices(region)] = wanted
    data = source.write(intended, region)
    again = decode(data)
    # Of colours alone: alpha never changes.
    first, second = raster.pixels[:, :, : raster.colours], again.pixels[:, :, : again.colours]
    return Written(data, again.pixels[_slices(region)], squared_error(first, second), first.size)


def _slices(region: Region) -> tuple[slice, slice]:
    top, left, height, width = region
    return slice(top, top + height), slice(left, left + width)
