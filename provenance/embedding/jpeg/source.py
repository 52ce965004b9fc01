"""A JPEG that can be written like itself, whose pixels can be seen and changed window by window."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.jpeg.decoding import Decoder, Region
from provenance.embedding.jpeg.entropy import ALL_ROWS, read_picture, write_picture
from provenance.embedding.jpeg.loops.forward import add_difference
from provenance.embedding.jpeg.planes import BLOCK, Plane
from provenance.embedding.jpeg.structure import parse
from provenance.embedding.raster import Raster
from provenance.embedding.survival import MIN_SURVIVAL, squared_error, survival
from provenance.intake.images import PIXEL_CAP

_ROUNDS = 2  # where too little survives, what is missing is asked for once more
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
        rows = ALL_ROWS if region_of is None else self._rows_around(region_of(height, width))
        self._picture = read_picture(data, structure, rows)
        self.mode = self._decoder.colours.mode

    def _rows_around(self, region: Region) -> tuple[int, int]:
        """Rows of units that a region lies in, with one more on either side, whose samples are mixed into it."""
        plane = self._decoder.planes[0]
        unit = BLOCK * plane.factors[0] * plane.units[0]
        return max(region[0] // unit - 1, 0), (region[0] + region[2] - 1) // unit + 2

    @cached_property
    def raster(self) -> Raster:
        """All pixels, as Pillow decodes them."""
        return self._decoded((0, 0, *self.size))

    def window(self, region: Region) -> Raster:
        """The pixels of a region (top, left, height, width), as Pillow decodes them."""
        return self.raster if region == (0, 0, *self.size) else self._decoded(region)

    def _decoded(self, region: Region) -> Raster:
        first, last = self._rows_around(region)
        if first < self._picture.rows[0] or last > self._picture.rows[1]:
            self._picture = read_picture(self._picture.data, self._structure)
        pixels = self._decoder.window(self._picture.coefs, region)
        return Raster(self.mode, pixels, pixels.shape[2])

    def write(self, pixels: np.ndarray, region: Region) -> bytes:
        """The file with (H, W, C) `pixels` in a region. Raises NotMarkableError."""
        top, left, height, width = region
        return self.write_window(pixels[top : top + height, left : left + width], region)[0]

    def write_window(self, wanted: np.ndarray, region: Region) -> tuple[bytes, np.ndarray, int]:
        """The file with (h, w, C) uint8 pixels in a region, where they differ from what they were.

        Returns it, the (h, w, C) pixels that a decoder reads there, and the sum of squared differences from the source
        over all pixels and channels. Blocks in which nothing differs stay as they are. Raises NotMarkableError.
        """
        before, wanted = self.window(region).pixels, np.ascontiguousarray(wanted)
        asked = wanted
        for _ in range(_ROUNDS):
            coefs, changed = self._with_change(before, asked, region)
            seen = self._decoder.window(coefs, region)
            if survival(before, wanted, seen) >= MIN_SURVIVAL:
                break
            missing = wanted.astype(np.int16) - seen
            asked = np.clip(asked + missing, 0, 255).astype(np.uint8)
        data = write_picture(self._picture, coefs, changed)
        return data, seen, self._squared(before, seen, region, coefs, changed)

    def _with_change(self, before: np.ndarray, wanted: np.ndarray, region: Region) -> tuple[np.ndarray, np.ndarray]:
        """The file's coefficients with the difference of two (h, w, C) windows, and which blocks have new ones."""
        coefs = self._picture.copy_of_coefs()
        changed = np.zeros(len(coefs), np.uint8)
        for number, plane in enumerate(self._decoder.planes):
            weights = np.array(self._decoder.colours.weights(number), np.int32)
            steps = np.array(self._structure.steps[number], np.float32).reshape(BLOCK, BLOCK)
            add_difference(
                before, wanted, region[0], region[1], self.size, weights, plane.width, plane.height, *plane.factors,
                plane.start, plane.stride, steps, coefs, changed,
            )  # fmt: skip
            _follow(plane.blocks(self._picture.coefs), plane.blocks(coefs), plane.blocks(changed), plane)
        return coefs, changed

    def _squared(
        self, before: np.ndarray, seen: np.ndarray, region: Region, coefs: np.ndarray, changed: np.ndarray
    ) -> int:
        """Summed where blocks changed, and one sample around, into which these are mixed."""
        edges = [_box(plane, plane.blocks(changed)) for plane in self._decoder.planes]
        boxes = np.array([box for box in edges if box])
        if not len(boxes):
            return 0
        top, left = (int(edge) for edge in np.maximum(boxes[:, :2].min(axis=0), 0))
        bottom, right = (int(edge) for edge in np.minimum(boxes[:, 2:].max(axis=0), self.size))
        box = top, left, bottom - top, right - left
        if region == (0, 0, *self.size):
            return squared_error(before, seen)
        coefficients = self._picture.coefs, coefs
        return squared_error(*(self._decoder.window(one, box) for one in coefficients))


def _box(plane: Plane, changed: np.ndarray) -> tuple[int, int, int, int] | None:
    """Top, left, bottom and right of the pixels that changed blocks reach."""
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if not len(rows):
        return None
    down, across = plane.factors
    reach_down, reach_across = down * (down > 1), across * (across > 1)
    return (
        int(rows[0]) * BLOCK * down - reach_down,
        int(columns[0]) * BLOCK * across - reach_across,
        (int(rows[-1]) + 1) * BLOCK * down + reach_down,
        (int(columns[-1]) + 1) * BLOCK * across + reach_across,
    )


def _follow(old: np.ndarray, new: np.ndarray, changed: np.ndarray, plane: Plane) -> None:
    """Let blocks outside the picture follow the last ones inside wherever the encoder had them do so.

    Encoders fill the last units with blocks of the colour of the block before. (rows, stride, 64) coefficients.
    """
    for column in range(plane.wide, plane.stride):
        _copy_level(old, new, changed, (slice(None), column), (slice(None), column - 1))
    across = plane.units[1]
    for row in range(plane.high, plane.rows):
        for column in range(across):
            here, last = slice(column, None, across), slice(across - 1, None, across)
            _copy_level(old, new, changed, (row, here), (row - 1, last))


def _copy_level(old: np.ndarray, new: np.ndarray, changed: np.ndarray, at: tuple, model: tuple) -> None:
    follows = (old[at][..., 0] == old[model][..., 0]) & ~old[at][..., 1:].any(axis=-1)
    differs = follows & (new[model][..., 0] != new[at][..., 0])
    new[at][..., 0][differs] = new[model][..., 0][differs]
    changed[at][differs] = 1
