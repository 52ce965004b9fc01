"""Changing one region of a picture, band by band and without the rest of it where its format allows."""

from collections.abc import Callable
from typing import Protocol, TypeGuard

import numpy as np

from provenance.embedding.carried.seen import Seen
from provenance.embedding.raster import Raster
from provenance.embedding.sources import Region, Source, decode
from provenance.embedding.survival import mean_change, squared_error, survival
from provenance.embedding.written import Change, Written
from provenance.marks.registry import Rows


class Windowed(Source, Protocol):
    """A source of which single regions can be decoded and written. All its channels are colours of 8 bits."""

    @property
    def size(self) -> tuple[int, int]: ...

    @property
    def mode(self) -> str: ...

    @property
    def colours(self) -> int: ...

    def changed(self, rows: Rows, region: Region) -> Change: ...


def is_windowed(source: Source) -> TypeGuard[Windowed]:
    """Whether a source changes band by band."""
    return hasattr(type(source), "changed")


class RasterChange:
    """A change of a source whose pixels are all decoded.

    mixed: what becomes of a region's stored pixels. keeps_detail: whether as much detail is written as was there.
    """

    def __init__(
        self, source: Source, region: Region, mixed: Callable[[Raster], np.ndarray], keeps_detail: bool
    ) -> None:
        self._source, self._region, raster = source, region, source.raster
        self._keeps_detail = keeps_detail
        self._before = raster.pixels[_slices(region)]
        self._wanted = mixed(Raster(raster.mode, self._before, raster.colours))
        self._colours = slice(0, raster.colours)
        self.mode, self.peak = raster.mode, raster.peak

    @property
    def mean(self) -> float:
        """Mean absolute difference from the source that is wanted, in levels."""
        return mean_change(self._before[..., self._colours], self._wanted[..., self._colours])

    def write(self) -> Written:
        """The file, decoded again. Raises NotMarkableError."""
        raster, slices = self._source.raster, _slices(self._region)
        intended = raster.pixels.copy()
        intended[slices] = self._wanted
        if self._keeps_detail:
            self._give_detail_back(intended[slices])
        data = self._source.write(intended, self._region)
        again = decode(data)
        before, wanted, found = (
            pixels[..., self._colours] for pixels in (self._before, self._wanted, again.pixels[slices])
        )
        # Of colours alone: alpha never changes.
        first, second = raster.pixels[:, :, : raster.colours], again.pixels[:, :, : again.colours]
        return Written(
            data,
            survival(before, wanted, found),
            squared_error(first, second),
            first.size,
            Seen(raster.pixels.shape[:2], self._region, before, found, self.peak),
        )

    def _give_detail_back(self, pixels: np.ndarray) -> None:
        """Give a region's colours, as they are wanted, the detail of their source."""
        from provenance.embedding.detail import with_detail_of

        before, wanted = (levels[..., self._colours] for levels in (self._before, self._wanted))
        pixels[..., self._colours] = with_detail_of(before, wanted)


def size_of(source: Source) -> tuple[int, int]:
    """Height and width in pixels."""
    if is_windowed(source):
        return source.size
    height, width = source.raster.pixels.shape[:2]
    return height, width


def _slices(region: Region) -> tuple[slice, slice]:
    top, left, height, width = region
    return slice(top, top + height), slice(left, left + width)
