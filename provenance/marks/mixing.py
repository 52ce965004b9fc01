"""Embedding's arithmetic: marks mixed into pixels, each product and sum in single precision, in a fixed order.

Levels are pixels over `unit`, 257 for 16 bits and else 1. `peak`, the highest pixel, says that sums are rounded and cut
off; 0 leaves them as they are. Fields and taps: provenance/marks/waves.py. Import this inside jobs alone, for numba
takes half a second.
"""

import numpy as np

from provenance.compiling import compiled

ONE = np.float32(1)
NONE = np.float32(0)
HALF_RANGE = np.float32(127.5)
_RANGES = {np.dtype(np.uint8): (ONE, np.float32(255)), np.dtype(np.uint16): (np.float32(257), np.float32(65535))}


def prepared(pixels: np.ndarray, out: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.float32, np.float32]:
    """(pixels, out, unit, peak) for the loops below: of one type, in rows without gaps, and few types in all."""
    if out is None:
        pixels, (unit, peak) = pixels.astype(np.float32), (ONE, NONE)
        out = np.empty_like(pixels, order="C")
    else:
        unit, peak = _RANGES[out.dtype]
    source = np.ascontiguousarray(pixels).view()
    source.flags.writeable = False
    return source, out, unit, peak


@compiled
def _level(pixel, unit):  # type: ignore[no-untyped-def]
    level = np.float32(pixel)
    if unit != ONE:
        level /= unit
    return level


@compiled
def _stored(level, unit, peak):  # type: ignore[no-untyped-def]
    if peak != NONE:
        level = np.rint(min(max(level * unit, NONE), peak))
    return level


@compiled
def _lerp(one, two, part):  # type: ignore[no-untyped-def]
    return one * (ONE - part) + two * part


@compiled
def _stretched(tile, taps, weights):  # type: ignore[no-untyped-def]
    """The tile's rows with a column for each of an image: (TILE, W * C)."""
    channels = tile.shape[2]
    lines = np.empty((len(tile), len(taps) * channels), np.float32)
    for row in range(len(tile)):
        for x in range(len(taps)):
            low, high, less, more = taps[x, 0], taps[x, 1], weights[x, 0], weights[x, 1]
            for channel in range(channels):
                mixed = tile[row, low, channel] * less + tile[row, high, channel] * more
                lines[row, x * channels + channel] = mixed
    return lines


@compiled
def _between(low, high, less, more, reach, start, length, first, second, part):  # type: ignore[no-untyped-def]
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
def cover(pixels, pattern, opacity, rest, unit, peak, out):  # type: ignore[no-untyped-def]
    """(s, s, C) pixels under a (cells, cells, C) pattern: level * rest + pattern * opacity."""
    side, _, channels = pixels.shape
    cells = len(pattern)
    tile = np.empty(side * channels, np.float32)
    last = -1
    for y in range(side):
        if y * cells // side != last:
            last = y * cells // side
            for x in range(side):
                for channel in range(channels):
                    tile[x * channels + channel] = np.float32(pattern[last, x * cells // side, channel]) * opacity
        under, over = pixels[y].reshape(-1), out[y].reshape(-1)
        for i in range(side * channels):
            over[i] = _stored(_level(under[i], unit) * rest + tile[i], unit, peak)


@compiled
def add_field(pixels, tile, columns, column_weights, rows, row_weights, factor, unit, peak, out):  # type: ignore[no-untyped-def]
    """(H, W, C) pixels and the field of a (TILE, TILE, C) float32 tile: level + (field - 127.5) * factor."""
    height, width, channels = pixels.shape
    lines = _stretched(tile, columns, column_weights)
    for y in range(height):
        low, high = lines[rows[y, 0]], lines[rows[y, 1]]
        less, more = row_weights[y, 0], row_weights[y, 1]
        under, over = pixels[y].reshape(-1), out[y].reshape(-1)
        for i in range(width * channels):
            field = (low[i] * less + high[i] * more - HALF_RANGE) * factor
            over[i] = _stored(_level(under[i], unit) + field, unit, peak)


@compiled
def move(pixels, tile, columns, column_weights, rows, row_weights, reach, unit, peak, out):  # type: ignore[no-untyped-def]
    """(H, W, C) pixels, each fetched from where a (TILE, TILE, 2) float32 tile says: down and across, bilinear."""
    height, width, channels = pixels.shape
    downwards = _stretched(tile[:, :, :1], columns, column_weights)
    sideways = _stretched(tile[:, :, 1:], columns, column_weights)
    top, bottom, down = np.empty(width, np.int32), np.empty(width, np.int32), np.empty(width, np.float32)
    left, right, across = np.empty(width, np.int32), np.empty(width, np.int32), np.empty(width, np.float32)
    row = np.empty(width, np.float32)
    column = np.arange(width).astype(np.float32)
    flat = pixels.reshape(-1)
    for y in range(height):
        low, high, less, more = rows[y, 0], rows[y, 1], row_weights[y, 0], row_weights[y, 1]
        row[:] = np.float32(y)
        _between(downwards[low], downwards[high], less, more, reach, row, height, top, bottom, down)
        _between(sideways[low], sideways[high], less, more, reach, column, width, left, right, across)
        over = out[y].reshape(-1)
        for x in range(width):
            above, below = np.int64(top[x]) * width, np.int64(bottom[x]) * width
            one, two = (above + left[x]) * channels, (above + right[x]) * channels
            three, four = (below + left[x]) * channels, (below + right[x]) * channels
            for channel in range(channels):
                upper = _lerp(_level(flat[one + channel], unit), _level(flat[two + channel], unit), across[x])
                lower = _lerp(_level(flat[three + channel], unit), _level(flat[four + channel], unit), across[x])
                over[x * channels + channel] = _stored(_lerp(upper, lower, down[x]), unit, peak)
