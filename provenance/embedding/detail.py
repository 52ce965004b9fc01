"""Fine detail that a mark smooths away, given back: how much neighbours differ tells files apart by their bytes.

Import this inside jobs only, for numba takes half a second. Sums are made in a fixed order, in double precision.
"""

import numpy as np

from provenance.compiling import compiled

SAMPLE = 1 << 14  # pixels of an image that are asked, in evenly spaced rows; of one channel, the others do alike
LEAST_EDGE = 8  # pixels; smaller images have next to no detail
WAYS = 4  # from a pixel to a neighbour: down, across, and down to the right and to the left
_LOWEST, _HIGHEST = -0.3, 1.0  # gains
_ROUNDS = 8  # of Newton's method
_FINENESS = 1 << 10  # steps of a gain

Array = np.ndarray
_PEAK = {np.dtype(np.uint8): np.float32(255), np.dtype(np.uint16): np.float32(65535)}


def with_detail_of(source: Array, marked: Array) -> Array:
    """The marked picture with as much difference between neighbours as its source has, in each of four ways.

    Both (h, w, C), uint8 or uint16; so is the result. Added are multiples of what sets each pixel apart from its two
    neighbours in each way: four gains for the whole picture, by which the squared differences come out equal.
    """
    height, width, channels = source.shape
    if min(height, width) < LEAST_EDGE:
        return marked
    source, marked = _read_only(source), _read_only(marked)
    some, channel = max(1, min(height - 3, SAMPLE // width)), channels // 2
    rows = np.unique(np.linspace(1, height - 3, some).astype(np.int64))
    wanted = products(source, rows, channel, 1)[:, 0, 0]
    gains = _gains(wanted.tolist(), products(marked, rows, channel, 1 + WAYS).tolist())
    written = np.empty_like(marked)
    sharpen(marked, np.array(gains, np.float32), _PEAK[marked.dtype], written)
    return written


def _read_only(pixels: Array) -> Array:
    view = np.ascontiguousarray(pixels).view()
    view.flags.writeable = False
    return view


def _gains(wanted: list[float], squares: list[list[list[float]]]) -> list[float]:
    """Gains g with v Q v = wanted for each of as many forms Q, v = (1, g); zeros where they cannot be found.

    By Newton's method, within limits, in double precision without any library, so that the bits are the same anywhere.
    """
    gains = [0.0] * len(wanted)
    if min(wanted) <= 0:
        return gains
    for _ in range(_ROUNDS):
        whole = [1.0, *gains]
        pulled = [[sum(q * v for q, v in zip(row, whole, strict=True)) for row in form] for form in squares]
        missing = [
            (of - sum(p * v for p, v in zip(pull, whole, strict=True))) / of
            for of, pull in zip(wanted, pulled, strict=True)
        ]
        slopes = [[2 * p / of for p in pull[1:]] for of, pull in zip(wanted, pulled, strict=True)]
        step = _solved(slopes, missing)
        before, gains = (
            gains,
            [min(max(gain + more, _LOWEST), _HIGHEST) for gain, more in zip(gains, step, strict=True)],
        )
        if max(abs(one - other) for one, other in zip(before, gains, strict=True)) < 0.1 / _FINENESS:
            break
    return [round(gain * _FINENESS) / _FINENESS for gain in gains]


def _solved(matrix: list[list[float]], right: list[float]) -> list[float]:
    """By elimination with the largest pivot of each column; zeros where the equations are not independent."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for at in range(len(rows)):
        pivot = max(range(at, len(rows)), key=lambda row: abs(rows[row][at]))
        rows[at], rows[pivot] = rows[pivot], rows[at]
        if abs(rows[at][at]) < 1e-6:
            return [0.0] * len(rows)
        rows[at] = [number / rows[at][at] for number in rows[at]]
        for other in range(len(rows)):
            if other != at:
                factor = rows[other][at]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[at], strict=True)]
    return [row[-1] for row in rows]


@compiled
def _apart(pixels: Array, y: int, channel: int, kinds: int, out: Array) -> None:
    """Of row y: levels, and what sets them apart from their two neighbours in each way: (kinds, W) float64."""
    own, width = out[0], pixels.shape[1]
    for x in range(width):
        own[x] = pixels[y, x, channel]
    if kinds == 1:
        return
    above, below = np.empty(width), np.empty(width)
    for x in range(width):
        above[x], below[x] = pixels[y - 1, x, channel], pixels[y + 1, x, channel]
    down, across, right, left = out[1], out[2], out[3], out[4]
    for x in range(1, width - 1):
        twice = 2.0 * own[x]
        down[x], across[x] = twice - above[x] - below[x], twice - own[x - 1] - own[x + 1]
        right[x], left[x] = twice - above[x - 1] - below[x + 1], twice - above[x + 1] - below[x - 1]


@compiled
def products(pixels: Array, rows: Array, channel: int, kinds: int) -> Array:
    """(4, kinds, kinds) float64 sums of products of differences between neighbours, in each way.

    The differences are those of the levels and of what `_apart` makes of them, in some rows of (h, w, C) pixels.
    """
    width = pixels.shape[1]
    upper, lower = np.zeros((kinds, width)), np.zeros((kinds, width))
    steps = np.zeros((4, kinds, width))
    columns = np.zeros((4, kinds, kinds, width))  # added up last: sums of whole lines are made faster
    for y in rows:
        _apart(pixels, y, channel, kinds, upper)
        _apart(pixels, y + 1, channel, kinds, lower)
        for kind in range(kinds):
            one, two = upper[kind], lower[kind]
            for x in range(2, width - 2):
                steps[0, kind, x], steps[1, kind, x] = two[x] - one[x], one[x + 1] - one[x]
                steps[2, kind, x], steps[3, kind, x] = two[x + 1] - one[x], two[x - 1] - one[x]
        for way in range(4):
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
    """(h, w, C) pixels plus four gains times what sets them apart, rounded and cut off; an edge goes on beyond it."""
    height, width, channels = pixels.shape
    flat, over, numbers = pixels.reshape(height, -1), out.reshape(height, -1), width * channels
    down, across, right, left = gains
    two, none = np.float32(2), np.float32(0)
    middle = np.float32(1) + two * down + two * across + two * right + two * left
    lines = np.empty((3, numbers + 2 * channels), np.float32)  # the rows above, of a pixel and below, with their edges
    above, own, below = lines[0], lines[1], lines[2]
    for y in range(height):
        _edged(flat[max(y - 1, 0)], channels, above)
        _edged(flat[y], channels, own)
        _edged(flat[min(y + 1, height - 1)], channels, below)
        line = over[y]
        for i in range(numbers):
            here, end = i + channels, i + 2 * channels
            level = middle * own[here] - down * (above[here] + below[here]) - across * (own[i] + own[end])
            level = level - right * (above[i] + below[end]) - left * (above[end] + below[i])
            line[i] = np.rint(min(max(level, none), peak))


@compiled
def _edged(row: Array, channels: int, out: Array) -> None:
    """A row of pixels with its first and its last one once more."""
    numbers = len(row)
    for i in range(numbers):
        out[channels + i] = row[i]
    for i in range(channels):
        out[i], out[channels + numbers + i] = row[i], row[numbers - channels + i]
