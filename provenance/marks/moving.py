"""Embedding's arithmetic of warps: each pixel fetched from where a field says (see provenance/marks/mixing.py)."""

import numpy as np

from provenance.compiling import compiled
from provenance.marks.mixing import HALF_RANGE, NONE, ONE, Array, Field, Level, field_of, level_of, stored

STRIP = 512  # columns


@compiled
def _lerp(one: np.float32, two: np.float32, part: np.float32) -> np.float32:
    return one * (ONE - part) + two * part


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
    unit: Level,
    peak: Level,
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
    unit: Level,
    peak: Level,
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
    unit: Level,
    peak: Level,
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
            upper = _lerp(level_of(one[i], unit), level_of(two[i], unit), acrosses[i])
            under = _lerp(level_of(three[i], unit), level_of(four[i], unit), acrosses[i])
            over[i] = stored(_lerp(upper, under, downs[i]), unit, peak)
