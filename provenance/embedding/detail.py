"""Fine detail that a mark smooths away, given back: how much neighbours differ tells files apart by their bytes.

Import this inside jobs only, for numba takes half a second. Sums are made in a fixed order, in double precision.
"""

import numpy as np

from provenance.compiling import compiled

SAMPLE = 1 << 14  # pixels of an image that are asked, in evenly spaced rows; of one channel, the others do alike
LEAST_ROWS = 32  # of them: a few rows of a wide picture would be its borders
LEAST_EDGE = 8  # pixels; smaller images have next to no detail
WAYS = 4  # from a pixel to a neighbour: down, across, and down to the right and to the left
LOWEST, HIGHEST = -0.3, 1.0  # gains
ROUNDS = 8  # of Newton's method
FINENESS = 1 << 10  # steps of a gain
NEARER = 0.5  # of what is amiss without gains, what may be with them: cut at a limit, they solve nothing and may harm

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
    rows, channel = _sampled(height, width), channels // 2
    wanted = products(source, rows, channel, 1)[:, 0, 0]
    gains = _gains(wanted, products(marked, rows, channel, 1 + WAYS))
    written = np.empty_like(marked)
    sharpen(marked, gains.astype(np.float32), _PEAK[marked.dtype], written)
    return written


def _sampled(height: int, width: int) -> Array:
    """Rows that have one above and two below: the middle ones of as many equal parts."""
    inner = height - 3
    some = min(inner, max(LEAST_ROWS, SAMPLE // width))
    return 1 + (2 * np.arange(some) + 1) * inner // (2 * some)


def _read_only(pixels: Array) -> Array:
    view = np.ascontiguousarray(pixels).view()
    view.flags.writeable = False
    return view


@compiled
def _gains(wanted: Array, forms: Array) -> Array:
    """Gains g with v Q v = wanted for each of as many forms Q, v = (1, g); zeros where none are much nearer to it.

    By Newton's method, within limits and without any library, so that the bits are the same anywhere.
    """
    count = len(wanted)
    whole, system = np.zeros(count + 1), np.empty((count, count + 1))
    whole[0] = 1.0
    if wanted.min() <= 0:
        return whole[1:]
    none = _linearise(wanted, forms, whole, system)
    for _ in range(ROUNDS):
        _linearise(wanted, forms, whole, system)
        if not _solve(system):
            return np.zeros(count)
        largest = 0.0
        for way in range(count):
            gain = min(max(whole[1 + way] + system[way, count], LOWEST), HIGHEST)
            largest = max(largest, abs(gain - whole[1 + way]))
            whole[1 + way] = gain
        if largest < 0.1 / FINENESS:
            break
    whole[1:] = np.rint(whole[1:] * FINENESS) / FINENESS
    return whole[1:] if _linearise(wanted, forms, whole, system) < NEARER * none else np.zeros(count)


@compiled
def _linearise(wanted: Array, forms: Array, whole: Array, system: Array) -> float:
    """Equations for the next step of every gain: slopes, then what is missing, as parts of what is wanted.

    Returned is the largest part that is missing, or too much.
    """
    count, worst = len(wanted), 0.0
    for way in range(count):
        found = 0.0
        for one in range(count + 1):
            pulled = 0.0
            for two in range(count + 1):
                pulled += forms[way, one, two] * whole[two]
            found += pulled * whole[one]
            if one:
                system[way, one - 1] = 2.0 * pulled / wanted[way]
        system[way, count] = (wanted[way] - found) / wanted[way]
        worst = max(worst, abs(system[way, count]))
    return worst


@compiled
def _solve(system: Array) -> bool:
    """Put solutions into the last column, by elimination; False where the equations are not independent."""
    count = len(system)
    for at in range(count):
        pivot = at + np.argmax(np.abs(system[at:, at]))
        for column in range(count + 1):
            system[at, column], system[pivot, column] = system[pivot, column], system[at, column]
        if abs(system[at, at]) < 1e-6:
            return False
        system[at] /= system[at, at]
        for other in range(count):
            if other != at:
                system[other] -= system[other, at] * system[at]
    return True


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
    _edged(flat[0], channels, lines[2])
    _edged(flat[0], channels, lines[0])
    for y in range(height):
        _edged(flat[min(y + 1, height - 1)], channels, lines[(y + 1) % 3])
        above, own, below, line = lines[(y + 2) % 3], lines[y % 3], lines[(y + 1) % 3], over[y]
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
