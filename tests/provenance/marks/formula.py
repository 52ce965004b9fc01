"""Embedding's arithmetic written down once more in plain NumPy, an operation a line, to hold machine code against.

Each of NumPy's products and sums of float32 arrays is rounded on its own, as IEEE 754 says.
"""

import numpy as np

from provenance.marks.registry import Family

TILE = 32


def mixed(
    family: Family, pixels: np.ndarray, pattern: np.ndarray, place: tuple[float, float], out: np.dtype | None = None
) -> np.ndarray:
    """(h, w, C) pixels of the family's region, marked; float32, or rounded to the type `out`."""
    unit = np.float32(257 if pixels.dtype == np.uint16 else 1)
    levels = pixels.astype(np.float32) / unit
    marked = FORMULAS[family.name](family, levels, pattern, place)
    if out is None:
        return marked
    return np.clip(np.rint(marked * unit), 0, np.iinfo(out).max).astype(out)


def patch(family, levels: np.ndarray, pattern: np.ndarray, place: tuple[float, float]) -> np.ndarray:
    side = len(levels)
    cell = np.arange(side) * family.cells // side
    tile = pattern[cell[:, None], cell].astype(np.float32)
    return levels * np.float32(1 - family.opacity) + tile * np.float32(family.opacity)


def overlay(family, levels: np.ndarray, pattern: np.ndarray, place: tuple[float, float]) -> np.ndarray:
    place = (0.0, 0.0) if family.name == "spectral" else place
    values = field(pattern, levels.shape[:2], place, family.periods) - np.float32(127.5)
    return levels + values * np.float32(family.amplitude / 127.5)


def warp(family, levels: np.ndarray, pattern: np.ndarray, place: tuple[float, float]) -> np.ndarray:
    height, width = levels.shape[:2]
    shift = (field(pattern, (height, width), place, family.periods) - np.float32(127.5)) / np.float32(127.5)
    shift *= np.float32(family.bend * min(height, width))
    down = (shift[..., 0] + np.arange(height, dtype=np.float32)[:, None]).clip(0, height - 1)
    across = (shift[..., 1] + np.arange(width, dtype=np.float32)).clip(0, width - 1)
    top, left = np.floor(down).astype(int), np.floor(across).astype(int)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    lower, later = (down - np.floor(down))[..., None], (across - np.floor(across))[..., None]
    above = between(levels[top, left], levels[top, right], later)
    below = between(levels[bottom, left], levels[bottom, right], later)
    return between(above, below, lower)


def between(one: np.ndarray, two: np.ndarray, part: np.ndarray) -> np.ndarray:
    return one * (np.float32(1) - part) + two * part


def field(tile: np.ndarray, size: tuple[int, int], place: tuple[float, float], periods: int) -> np.ndarray:
    """(H, W, C) float32: the tile at every pixel, first mixed along the row, then down the column."""
    values = tile.astype(np.float32)
    low, high, part = taps(size[1], min(size), place[1], periods)
    values = between(values[:, low], values[:, high], part[:, None])
    low, high, part = taps(size[0], min(size), place[0], periods)
    return between(values[low], values[high], part[:, None, None])


def taps(length: int, short: int, phase: float, periods: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two lines that each place lies between, and the weight of the second, worked out in double precision."""
    place = (np.arange(length) + 0.5) * periods / short + phase
    position = (place - np.floor(place)) * TILE - 0.5
    low = np.floor(position)
    return low.astype(int) % TILE, (low.astype(int) + 1) % TILE, (position - low).astype(np.float32)


FORMULAS = {"patch": patch, "blend": overlay, "spectral": overlay, "warp": warp}
