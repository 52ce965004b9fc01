"""Embedding's arithmetic: marks mixed into pixels, each product and sum in single precision, in a fixed order.

Levels are pixels over `unit`, 257 for 16 bits. `peak`, the highest pixel, says that sums are rounded and cut off. A
tile is stretched so that `periods` of it span the short edge, from a phase `down` and `across` on, fractions of a
period (provenance/marks/waves.py). Import this inside jobs alone, for numba takes half a second.
"""

import numpy as np

from provenance.compiling import compiled

ONE, NONE, HALF_RANGE = np.float32(1), np.float32(0), np.float32(127.5)
TILE = 32
Array = np.ndarray
Field = tuple[Array, Array, Array, Array, Array]
Level = np.float32 | None


def prepared(pixels: np.ndarray, out: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, Level, Level]:
    """(pixels, out, unit, peak) for the loops below, of three kinds alone: whatever is None is not computed with."""
    if out is None:
        pixels = pixels.astype(np.float32)
        out, unit, peak = np.empty_like(pixels, order="C"), None, None
    elif out.dtype == np.uint8:
        unit, peak = None, np.float32(255)
    else:
        unit, peak = np.float32(257), np.float32(65535)
    source = np.ascontiguousarray(pixels).view()
    source.flags.writeable = False
    return source, out, unit, peak


@compiled
def level_of(pixel: np.integer, unit: Level) -> np.float32:
    if unit is None:
        return np.float32(pixel)
    return np.float32(pixel) / unit


@compiled
def stored(level: np.float32, unit: Level, peak: Level) -> np.float32:
    if peak is None:
        return level
    pixel = level if unit is None else level * unit
    return np.rint(min(max(pixel, NONE), peak))


@compiled
def _taps(length: int, short: int, phase: float, periods: int) -> tuple[Array, Array, Array, Array]:
    """For each pixel of an edge the tile's lines before and after it, and their weights; in double precision."""
    low, high = np.empty(length, np.int64), np.empty(length, np.int64)
    less, more = np.empty(length, np.float32), np.empty(length, np.float32)
    for i in range(length):
        place = (i + 0.5) * periods / short + phase
        position = (place - np.floor(place)) * TILE - 0.5
        whole = np.floor(position)
        low[i], high[i] = np.int64(whole) % TILE, (np.int64(whole) + 1) % TILE
        more[i] = position - whole
        less[i] = ONE - more[i]
    return low, high, less, more


@compiled
def _stretched(tile: Array, low: Array, high: Array, less: Array, more: Array) -> Array:
    """The tile's rows with a column for each of an image: (TILE, W * C)."""
    width, channels = len(low), tile.shape[2]
    lines = np.empty((TILE, width * channels), np.float32)
    before, after = np.empty(width * channels, np.int32), np.empty(width * channels, np.int32)
    first, second = np.empty(width * channels, np.float32), np.empty(width * channels, np.float32)
    for x in range(width):
        for channel in range(channels):
            i = x * channels + channel
            before[i], after[i] = low[x] * channels + channel, high[x] * channels + channel
            first[i], second[i] = less[x], more[x]
    for row in range(TILE):
        values, line = tile[row].reshape(-1), lines[row]
        for i in range(width * channels):
            line[i] = values[np.uint32(before[i])] * first[i] + values[np.uint32(after[i])] * second[i]
    return lines


@compiled
def cover(
    pixels: Array,
    top: int,
    pattern: Array,
    opacity: np.float32,
    rest: np.float32,
    unit: Level,
    peak: Level,
    out: Array,
) -> None:
    """(h, s, C) pixels, from row `top` on of s, under a (cells, cells, C) pattern: level * rest + pattern * opacity."""
    height, side, channels = pixels.shape
    cells = len(pattern)
    tile = np.empty(side * channels, np.float32)
    last = -1
    for y in range(height):
        if (top + y) * cells // side != last:
            last = (top + y) * cells // side
            for x in range(side):
                for channel in range(channels):
                    tile[x * channels + channel] = np.float32(pattern[last, x * cells // side, channel]) * opacity
        under, over = pixels[y].reshape(-1), out[y].reshape(-1)
        for i in range(side * channels):
            over[i] = stored(level_of(under[i], unit) * rest + tile[i], unit, peak)


@compiled
def field_of(tile: Array, height: int, width: int, down: float, across: float, periods: int) -> Field:
    """A tile's field over a picture: (TILE, W * C) lines; for every row those before and after it, and their weights.

    Of (TILE, TILE, C) float32.
    """
    short = min(height, width)
    lines = _stretched(tile, *_taps(width, short, across, periods))
    low, high, less, more = _taps(height, short, down, periods)
    return lines, low, high, less, more


@compiled
def add_rows(pixels: Array, field: Field, top: int, factor: np.float32, unit: Level, peak: Level, out: Array) -> None:
    """(h, W, C) pixels, from row `top` on, and a field: level + (field - 127.5) * factor."""
    lines, low, high, less, more = field
    for y in range(len(pixels)):
        one, two = lines[low[top + y]], lines[high[top + y]]
        first, second = less[top + y], more[top + y]
        under, over = pixels[y].reshape(-1), out[y].reshape(-1)
        for i in range(len(under)):
            level = (one[i] * first + two[i] * second - HALF_RANGE) * factor
            over[i] = stored(level_of(under[i], unit) + level, unit, peak)


@compiled
def add_field(
    pixels: Array,
    tile: Array,
    down: float,
    across: float,
    periods: int,
    factor: np.float32,
    unit: Level,
    peak: Level,
    out: Array,
) -> None:
    """The same for a whole picture, from its tile."""
    height, width, _ = pixels.shape
    add_rows(pixels, field_of(tile, height, width, down, across, periods), 0, factor, unit, peak, out)
