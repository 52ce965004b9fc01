"""Embedding's arithmetic: marks mixed into pixels, each product and sum in single precision, in a fixed order.

Levels are pixels over `unit`, 257 for 16 bits. `peak`, the highest pixel, says that sums are rounded and cut off. A
tile is stretched so that `periods` of it span the short edge, from a phase `down` and `across` on, fractions of a
period (provenance/marks/waves.py). Import this inside jobs alone, for numba takes half a second.
"""

import numpy as np

from provenance.compiling import compiled

ONE, NONE, HALF_RANGE = np.float32(1), np.float32(0), np.float32(127.5)
TILE = 32
STRIP = 512  # columns
Array = np.ndarray
Field = tuple[Array, Array, Array, Array, Array]
_Level = np.float32 | None


def prepared(pixels: np.ndarray, out: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, _Level, _Level]:
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
def _level(pixel: np.integer, unit: _Level) -> np.float32:
    if unit is None:
        return np.float32(pixel)
    return np.float32(pixel) / unit


@compiled
def _stored(level: np.float32, unit: _Level, peak: _Level) -> np.float32:
    if peak is None:
        return level
    pixel = level if unit is None else level * unit
    return np.rint(min(max(pixel, NONE), peak))


@compiled
def _lerp(one: np.float32, two: np.float32, part: np.float32) -> np.float32:
    return one * (ONE - part) + two * part


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
def _between(
    low: Array,
    high: Array,
    less: np.float32,
    more: np.float32,
    reach: np.float32,
    start: Array,
    length: int,
    first: Array,
    second: Array,
    part: Array,
) -> None:
    """The two pixels that each place of a row lies between, and the weight of the second; from beyond an edge, onto it.

    Places: `start` and the tile's field times `reach`.
    """
    last = np.int32(length - 1)
    for x in range(len(start)):
        place = (low[x] * less + high[x] * more - HALF_RANGE) / HALF_RANGE * reach + start[x]
        place = min(max(place, NONE), np.float32(last))
        whole = np.int32(place)
        first[x], second[x] = whole, min(np.int32(whole + 1), last)
        part[x] = place - np.float32(whole)


@compiled
def _fetched(
    pixels: Array,
    first: int,
    line: int,
    channels: int,
    top: Array,
    bottom: Array,
    left: Array,
    right: Array,
    corners: Array,
) -> None:
    """The pixels at top left, top right, bottom left and bottom right of each place of a row."""
    one, two, three, four = corners[0], corners[1], corners[2], corners[3]
    at = 0
    for x in range(len(top)):
        above, below = (np.int64(top[x]) - first) * line, (np.int64(bottom[x]) - first) * line
        near, far = np.int64(left[x]) * channels, np.int64(right[x]) * channels
        for channel in range(channels):
            one[at], two[at] = pixels[above + near + channel], pixels[above + far + channel]
            three[at], four[at] = pixels[below + near + channel], pixels[below + far + channel]
            at += 1


@compiled
def _spread(weights: Array, channels: int, out: Array) -> None:
    """A weight for every number of a row from one for every pixel."""
    for x in range(len(weights)):
        for channel in range(channels):
            out[x * channels + channel] = weights[x]


@compiled
def cover(
    pixels: Array,
    top: int,
    pattern: Array,
    opacity: np.float32,
    rest: np.float32,
    unit: _Level,
    peak: _Level,
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
            over[i] = _stored(_level(under[i], unit) * rest + tile[i], unit, peak)


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
def add_rows(pixels: Array, field: Field, top: int, factor: np.float32, unit: _Level, peak: _Level, out: Array) -> None:
    """(h, W, C) pixels, from row `top` on, and a field: level + (field - 127.5) * factor."""
    lines, low, high, less, more = field
    for y in range(len(pixels)):
        one, two = lines[low[top + y]], lines[high[top + y]]
        first, second = less[top + y], more[top + y]
        under, over = pixels[y].reshape(-1), out[y].reshape(-1)
        for i in range(len(under)):
            level = (one[i] * first + two[i] * second - HALF_RANGE) * factor
            over[i] = _stored(_level(under[i], unit) + level, unit, peak)


@compiled
def add_field(
    pixels: Array,
    tile: Array,
    down: float,
    across: float,
    periods: int,
    factor: np.float32,
    unit: _Level,
    peak: _Level,
    out: Array,
) -> None:
    """The same for a whole picture, from its tile."""
    height, width, _ = pixels.shape
    add_rows(pixels, field_of(tile, height, width, down, across, periods), 0, factor, unit, peak, out)


@compiled
def shift_of(tile: Array, height: int, width: int, down: float, across: float, periods: int) -> tuple[Field, Array]:
    """The fields of a (TILE, TILE, 2) float32 tile, as `field_of` has them: that of down, and the lines of across."""
    downwards = field_of(tile[:, :, :1].copy(), height, width, down, across, periods)
    sideways = field_of(tile[:, :, 1:].copy(), height, width, down, across, periods)
    return downwards, sideways[0]


@compiled
def move_rows(
    pixels: Array,
    first: int,
    height: int,
    shift: tuple[Field, Array],
    top: int,
    reach: np.float32,
    unit: _Level,
    peak: _Level,
    out: Array,
) -> None:
    """The rows of `out`, from `top` on, each pixel fetched from where a shift times `reach` says, bilinear.

    pixels: (h, W, C), from row `first` on of a picture of some height, with all rows that are reached.
    """
    width = pixels.shape[1]
    column = np.arange(width).astype(np.float32)
    for begin in range(0, width, STRIP):
        end = min(begin + STRIP, width)
        _move_strip(pixels, first, height, shift, top, reach, column[begin:end], begin, unit, peak, out)


@compiled
def move(
    pixels: Array,
    tile: Array,
    down: float,
    across: float,
    periods: int,
    reach: np.float32,
    unit: _Level,
    peak: _Level,
    out: Array,
) -> None:
    """The same for a whole picture, from its tile."""
    height, width = pixels.shape[:2]
    shift = shift_of(tile, height, width, down, across, periods)
    move_rows(pixels, 0, height, shift, 0, reach, unit, peak, out)


@compiled
def _move_strip(
    pixels: Array,
    first: int,
    height: int,
    shift: tuple[Field, Array],
    begin_row: int,
    reach: np.float32,
    column: Array,
    begin: int,
    unit: _Level,
    peak: _Level,
    out: Array,
) -> None:
    """Some columns of all rows: neighbours come from nearby, and a processor keeps track of few places at a time."""
    (downwards, low, high, less, more), sideways = shift
    (_, width, channels), wide = pixels.shape, len(column)
    end = begin + wide
    top, bottom, lower = np.empty(wide, np.int32), np.empty(wide, np.int32), np.empty(wide, np.float32)
    left, right, later = np.empty(wide, np.int32), np.empty(wide, np.int32), np.empty(wide, np.float32)
    row, flat, line = np.empty(wide, np.float32), pixels.reshape(-1), width * channels
    corners = np.empty((4, wide * channels + 80), pixels.dtype)  # rows at like addresses would wait for one another
    one, two, three, four = corners[0], corners[1], corners[2], corners[3]
    downs, acrosses = np.empty(wide * channels, np.float32), np.empty(wide * channels, np.float32)
    for at in range(len(out)):
        y = begin_row + at
        row[:] = np.float32(y)
        above, below = downwards[low[y]][begin:end], downwards[high[y]][begin:end]
        _between(above, below, less[y], more[y], reach, row, height, top, bottom, lower)
        above, below = sideways[low[y]][begin:end], sideways[high[y]][begin:end]
        _between(above, below, less[y], more[y], reach, column, width, left, right, later)
        if channels == 3:  # three are told to the compiler, which then makes better code
            _fetched(flat, first, line, 3, top, bottom, left, right, corners)
            _spread(lower, 3, downs)
            _spread(later, 3, acrosses)
        else:
            _fetched(flat, first, line, channels, top, bottom, left, right, corners)
            _spread(lower, channels, downs)
            _spread(later, channels, acrosses)
        over = out[at, begin:end].reshape(-1)
        for i in range(wide * channels):
            upper = _lerp(_level(one[i], unit), _level(two[i], unit), acrosses[i])
            under = _lerp(_level(three[i], unit), _level(four[i], unit), acrosses[i])
            over[i] = _stored(_lerp(upper, under, downs[i]), unit, peak)
