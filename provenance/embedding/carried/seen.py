"""What marking saw of a picture already, so that a large one need not be decoded once more for its thumbnail."""

from dataclasses import dataclass

import numpy as np

_SMALL_PART = 4  # of a picture: at least so many times larger than the region, whose change is held as numbers then


@dataclass(frozen=True)
class Seen:
    """A region (top, left, height, width) of a picture of some height and width.

    before, after: its (h, w, C) colours, of levels up to `peak`.
    """

    size: tuple[int, int]
    region: tuple[int, int, int, int]
    before: np.ndarray
    after: np.ndarray
    peak: int

    @property
    def helps(self) -> bool:
        """Whether the rest is worth leaving out, and the colours are grey or RGB."""
        return self.before.shape[2] in (1, 3) and is_small_part(self.region, self.size)

    def change(self, height: int, width: int) -> np.ndarray:
        """What changed in the whole picture, made smaller, in 256 levels: (height, width, 3) int64."""
        top, left, region_height, region_width = self.region
        first_row, rows = _cells(self.size[0], height, top, region_height)
        first_column, columns = _cells(self.size[1], width, left, region_width)
        held = np.zeros((rows[-1] - rows[0], columns[-1] - columns[0], self.before.shape[2]), np.int32)
        inside = (slice(top - rows[0], None), slice(left - columns[0], None))
        held[inside][:region_height, :region_width] = np.subtract(self.after, self.before, dtype=np.int32)
        sums = np.add.reduceat(held, rows[:-1] - rows[0], axis=0, dtype=np.int64)
        sums = np.add.reduceat(sums, columns[:-1] - columns[0], axis=1)
        areas = (np.diff(rows)[:, None] * np.diff(columns))[:, :, None] * (257 if self.peak > 255 else 1)
        whole = np.zeros((height, width, 3), np.int64)
        shape = slice(first_row, first_row + len(rows) - 1), slice(first_column, first_column + len(columns) - 1)
        whole[shape] = (2 * sums + areas) // (2 * areas)
        return whole


def is_small_part(region: tuple[int, int, int, int], size: tuple[int, int]) -> bool:
    """Whether the rest of a picture is worth leaving out."""
    return region[2] * region[3] * _SMALL_PART <= size[0] * size[1]


def _cells(size: int, wanted: int, start: int, length: int) -> tuple[int, np.ndarray]:
    """Of `wanted` cells of `size`: the first that the stretch touches, and the bounds of all that it does."""
    bounds = np.arange(wanted + 1, dtype=np.int64) * size // wanted
    first = int(np.searchsorted(bounds, start, "right")) - 1
    last = int(np.searchsorted(bounds, start + length, "left"))
    return first, bounds[first : last + 1]
