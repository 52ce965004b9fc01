"""A JPEG that can be written like itself, whose pixels can be seen and changed window by window."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.jpeg.change import JpegChange
from provenance.embedding.jpeg.decoding import Decoder, Region
from provenance.embedding.jpeg.entropy import ALL_ROWS, Picture, read_picture
from provenance.embedding.jpeg.planes import BLOCK
from provenance.embedding.jpeg.structure import parse
from provenance.embedding.raster import Raster
from provenance.intake.images import PIXEL_CAP
from provenance.marks.registry import Rows

RegionOf = Callable[[int, int], Region]  # of a height and a width


class JpegSource:
    """Coefficients, tables and scans of a file.

    Args:
        data: the file. region_of: the region that will be changed, where it is known already; of a large file no other
            coefficients are kept then.

    Raises: NotMarkableError with the reason where the file could not be written byte for byte as it is.
    """

    format = "JPEG"

    def __init__(self, data: bytes, region_of: RegionOf | None = None) -> None:
        structure = parse(data)
        self.size = height, width = structure.frame.height, structure.frame.width
        if height * width > PIXEL_CAP:
            raise NotMarkableError(f"The image has more than {PIXEL_CAP:,} pixels.")
        self._structure = structure
        self._decoder = Decoder(structure)
        region = (0, 0, height, width) if region_of is None else region_of(height, width)
        rows = ALL_ROWS if region == (0, 0, height, width) else self._rows_around(region)
        self._picture: Picture | None = read_picture(data, structure, rows)
        self._data = data
        self.mode, self.colours = self._decoder.colours.mode, self._decoder.colours.channels

    @property
    def _unit(self) -> tuple[int, int]:
        """Pixels of a unit, down and across."""
        plane = self._decoder.planes[0]
        return BLOCK * plane.factors[0] * plane.units[0], BLOCK * plane.factors[1] * plane.units[1]

    def _rows_around(self, region: Region) -> tuple[int, int]:
        """Rows of units that a region lies in, with two more on either side: the next changes too, by the last one."""
        unit = self._unit[0]
        return max(region[0] // unit - 2, 0), (region[0] + region[2] - 1) // unit + 3

    def _box(self, region: Region) -> Region:
        """A region with all units that it lies in and one more on either side, into which its samples are mixed."""
        (tall, wide), (top, left, height, width) = self._unit, region
        first = max(top // tall - 1, 0) * tall, max(left // wide - 1, 0) * wide
        last = ((top + height - 1) // tall + 2) * tall, ((left + width - 1) // wide + 2) * wide
        return (*first, min(last[0], self.size[0]) - first[0], min(last[1], self.size[1]) - first[1])

    @cached_property
    def raster(self) -> Raster:
        """All pixels, as Pillow decodes them."""
        return self.window((0, 0, *self.size))

    def window(self, region: Region) -> Raster:
        """The pixels of a region (top, left, height, width), as Pillow decodes them."""
        pixels = self._decoder.window(self._read(region).coefs, region)
        return Raster(self.mode, pixels, pixels.shape[2])

    def _read(self, region: Region) -> Picture:
        """The source's coefficients around a region; what writing used up is read again."""
        first, last = self._rows_around(region)
        rows = (0, 0) if self._picture is None else self._picture.rows
        if self._picture is None or first < rows[0] or last > rows[1]:
            self._picture = read_picture(self._data, self._structure)
        return self._picture

    def write(self, pixels: np.ndarray, region: Region) -> bytes:
        """The file with (H, W, C) `pixels` in a region. Raises NotMarkableError."""
        top, left, height, width = region
        wanted = pixels[top : top + height, left : left + width]

        def mix(_pixels: np.ndarray, _first: int, start: int, out: np.ndarray) -> None:
            out[...] = wanted[start : start + len(out)]

        return self.changed(Rows(0, mix), region).write().data

    def changed(self, rows: Rows, region: Region) -> JpegChange:
        """The file with rows mixed into a region; uses the coefficients up."""
        picture, self._picture = self._read(region), None
        return JpegChange(picture, self._decoder, rows, region, self._box(region))
