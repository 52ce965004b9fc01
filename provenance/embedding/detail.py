"""Fine detail that a mark smooths away, given back: how much neighbours differ tells files apart by their bytes.

Import this inside jobs only, for numba takes half a second. Sums are made in a fixed order, in double precision.
"""

import numpy as np

from provenance.compiling import compiled

SAMPLE = 1 << 14  # pixels of an image that are asked, in evenly spaced rows; of one channel, the others do alike
LEAST_EDGE = 8  # pixels; smaller images have next to no detail
_LIMITS = ((-0.3, 1.0), (-0.3, 1.0), (-0.15, 0.5))  # of the gains below
_ROUNDS = 8  # of Newton's method
_FINENESS = 1 << 10

Array = np.ndarray
_HIGHEST = {np.dtype(np.uint8): np.float32(255), np.dtype(np.uint16): np.float32(65535)}


def with_detail_of(source: Array, marked: Array) -> Array:
    """The marked picture with as much difference between neighbours as its source has, down, across and diagonally.

    Both (h, w, C), uint8 or uint16; so is the result. Added are multiples of what sets each pixel apart from its
    neighbours, down, across and diagonally: three gains for the whole picture, by which the squared differences come
    out equal.
    """
    height, width, channels = source.shape
    if min(height, width) < LEAST_EDGE:
        return marked
    source, marked = _read_only(source), _read_only(marked)
    some, channel = max(1, min(height - 3, SAMPLE // width)), channels // 2
    rows = np.unique(np.linspace(1, height - 3, some).astype(np.int64))
    wanted = products(source, rows, channel, 1)[:, 0, 0]
    gains = _gains(wanted.tolist(), products(marked, rows, channel, 4).tolist())
    written = np.empty_like(marked)
    sharpen(marked, np.array(gains, np.float32), _HIGHEST[marked.dtype], written)
    return written


def _read_only(pixels: Array) -> Array:
    view = np.ascontiguousarray(pixels).view()
    view.flags.writeable = False
    return view


def _gains(wanted: list[float], squares: list[list[list[float]]]) -> list[float]:
    """Three gains g with v Q v = wanted for each of three forms Q of (4, 4), v = (1, g); zeros where none is found.

    By Newton's method, within limits, in double precision without any library, so that the bits are the same anywhere.
    """
    if min(wanted) <= 0:
        return [0.0, 0.0, 0.0]
    gains = [0.0, 0.0, 0.0]
    for _ in range(_ROUNDS):
        whole = [1.0, *gains]
        pulled = [[sum(q * v for q, v in zip(row, whole, strict=True)) for row in form] for form in squares]
        missing = [
            (of - sum(p * v for p, v in zip(pull, whole, strict=True))) / of
            for of, pull in zip(wanted, pulled, strict=True)
        ]
        slopes = [[2 * p / of for p in pull[1:]] for of, pull in zip(wanted, pulled, strict=True)]
        step = _solved(slopes, missing)
        gains = [min(max(g + s, low), high) for g, s, (low, high) in zip(gains, step, _LIMITS, strict=True)]
    return [round(gain * _FINENESS) / _FINENESS for gain in gains]


def _solved(matrix: list[list[float]], right: list[float]) -> list[float]:
    """By Cramer's rule; zeros where the three equations are not independent."""
    whole = _determinant(matrix)
    if abs(whole) < 1e-9:
        return [0.0, 0.0, 0.0]
    columns = list(zip(*matrix, strict=True))
    swapped = ([*columns[:at], tuple(right), *columns[at + 1 :]] for at in range(3))
    return [_determinant(list(map(list, one))) / whole for one in swapped]


def _determinant(m: list[list[float]]) -> float:
    first = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
    second = m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
    return first - second + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])


@compiled
def _apart(pixels: Array, y: int, channel: int, out: Array) -> None:
    """Of row y: levels, and what sets them apart from their neighbours down, across and diagonally: (4, W) float64."""
    own, down, across, diagonal = out[0], out[1], out[2], out[3]
    for x in range(pixels.shape[1]):
        own[x] = pixels[y, x, channel]
        down[x] = 2.0 * own[x] - pixels[y - 1, x, channel] - pixels[y + 1, x, channel]
    for x in range(1, len(own) - 1):
        across[x] = 2.0 * own[x] - own[x - 1] - own[x + 1]
        diagonal[x] = 2.0 * down[x] - down[x - 1] - down[x + 1]


@compiled
def products(pixels: Array, rows: Array, channel: int, kinds: int) -> Array:
    """(3, kinds, kinds) float64 sums of products of differences between neighbours: down, across, and of both.

    The differences are those of the levels and of what `_apart` makes of them, in some rows of (h, w, C) pixels.
    """
    width = pixels.shape[1]
    upper, lower, steps = np.zeros((4, width)), np.zeros((4, width)), np.zeros((3, 4, width))
    columns = np.zeros((3, kinds, kinds, width))  # added up last: sums of whole lines are made faster
    for y in rows:
        _apart(pixels, y, channel, upper)
        _apart(pixels, y + 1, channel, lower)
        for of in range(kinds):
            for x in range(1, width - 2):
                steps[0, of, x] = lower[of, x] - upper[of, x]
                steps[1, of, x] = upper[of, x + 1] - upper[of, x]
                steps[2, of, x] = lower[of, x + 1] - lower[of, x] - steps[1, of, x]
        for way in range(3):
            _add_products(steps[way], columns[way])
    return columns.sum(axis=3)


@compiled
def _add_products(steps: Array, columns: Array) -> None:
    """Of lines of numbers, each with each, number by number."""
    for one in range(len(columns)):
        for two in range(len(columns)):
            first, second, line = steps[one], steps[two], columns[one, two]
            for x in range(len(first)):
                line[x] += first[x] * second[x]


@compiled
def sharpen(pixels: Array, gains: Array, peak: np.float32, out: Array) -> None:
    """(h, w, C) pixels plus three gains times what sets them apart, rounded and cut off; an edge goes on beyond it."""
    down, across, diagonal = gains
    height, width, channels = pixels.shape
    flat, over, numbers = pixels.reshape(height, -1), out.reshape(height, -1), width * channels
    two, four, none = np.float32(2), np.float32(4), np.float32(0)
    middle = np.float32(1) + two * down + two * across + four * diagonal
    upright, level = -down - two * diagonal, -across - two * diagonal
    lines = np.empty((2, numbers + 2 * channels), np.float32)  # sums of three rows, with an edge at either end
    beside, own = lines[0], lines[1]
    for y in range(height):
        above, row, below = flat[max(y - 1, 0)], flat[y], flat[min(y + 1, height - 1)]
        for i in range(numbers):
            ends, here = np.float32(above[i]) + np.float32(below[i]), np.float32(row[i])
            own[channels + i] = middle * here + upright * ends
            beside[channels + i] = level * here + diagonal * ends
        for i in range(channels):
            beside[i], beside[channels + numbers + i] = beside[channels + i], beside[numbers + i]
        line = over[y]
        for i in range(numbers):
            level_of = own[channels + i] + (beside[i] + beside[2 * channels + i])
            line[i] = np.rint(min(max(level_of, none), peak))
