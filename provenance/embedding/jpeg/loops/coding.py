"""From pixels to quantised coefficients with the very numbers of libjpeg-turbo, compiled; all in integers.

jccolor.c, jcsample.c, jfdctint.c and jcdctmgr.c: what a file's own tables make of the pixels it is decoded to.
"""

import numpy as np

from provenance.compiling import compiled

_i, _f = np.int32, np.float32
_BLOCKS = 128  # that are transformed together: what is held of them stays nearby
_LINE = 8 * _BLOCKS


@compiled
def _forward(lines, out, blocks, whole, part):
    """Forward transforms of length eight over the first axis of (8, _BLOCKS) int32, into every eighth line of out.

    jpeg_fdct_islow: the two even sums are shifted by `whole` bits, up where it is negative, the others down by `part`.
    """
    half = _i(1 << (part - 1))
    for x in range(blocks):
        d0, d1, d2, d3 = lines[x], lines[_BLOCKS + x], lines[2 * _BLOCKS + x], lines[3 * _BLOCKS + x]
        d4, d5, d6, d7 = lines[4 * _BLOCKS + x], lines[5 * _BLOCKS + x], lines[6 * _BLOCKS + x], lines[7 * _BLOCKS + x]
        t0, t7, t1, t6 = _i(d0 + d7), _i(d0 - d7), _i(d1 + d6), _i(d1 - d6)
        t2, t5, t3, t4 = _i(d2 + d5), _i(d2 - d5), _i(d3 + d4), _i(d3 - d4)
        e0, e3, e1, e2 = _i(t0 + t3), _i(t0 - t3), _i(t1 + t2), _i(t1 - t2)
        if whole < 0:
            out[x], out[4 * _LINE + x] = _i(_i(e0 + e1) << _i(-whole)), _i(_i(e0 - e1) << _i(-whole))
        else:
            even = _i(1 << (whole - 1))
            out[x], out[4 * _LINE + x] = _i(e0 + e1 + even) >> _i(whole), _i(e0 - e1 + even) >> _i(whole)
        z1 = _i(_i(e2 + e3) * _i(4433))
        out[2 * _LINE + x] = _i(z1 + _i(e3 * _i(6270)) + half) >> _i(part)
        out[6 * _LINE + x] = _i(z1 - _i(e2 * _i(15137)) + half) >> _i(part)
        z5 = _i(_i(t4 + t6 + t5 + t7) * _i(9633))
        z1, z2 = _i(_i(t4 + t7) * _i(-7373)), _i(_i(t5 + t6) * _i(-20995))
        z3, z4 = _i(_i(_i(t4 + t6) * _i(-16069)) + z5), _i(_i(_i(t5 + t7) * _i(-3196)) + z5)
        out[7 * _LINE + x] = _i(_i(t4 * _i(2446)) + z1 + z3 + half) >> _i(part)
        out[5 * _LINE + x] = _i(_i(t5 * _i(16819)) + z2 + z4 + half) >> _i(part)
        out[3 * _LINE + x] = _i(_i(t6 * _i(25172)) + z2 + z3 + half) >> _i(part)
        out[_LINE + x] = _i(_i(t7 * _i(12299)) + z1 + z4 + half) >> _i(part)


@compiled
def code(pixels, top, left, size, planes, weights, steps, local, coded):
    """What whole units of pixels are coded as.

    Args:
        pixels: (h, w, C) uint8, from `top` and `left` on in a picture of `size`. planes: (P, 5), as `add_difference`
            takes them. weights: (P, C + 1) int32: of the channels in a plane's sample and added, in 1/65536. steps:
            (P, 64) float32. local: (P, 2): where each plane's blocks begin in `coded`, (n, 64) int16, and how many
            stand in a row of it.
    """
    rows, columns, channels = pixels.shape
    tall, across = 8 * planes[:, 1].max(), 8 * planes[:, 2].max()
    part = _LINE // across * across
    apart = np.empty((channels, tall, part), np.int32)
    sums = np.empty(part, np.int32)
    samples, turned = np.empty(8 * _LINE, np.int32), np.empty(8 * _LINE, np.int32)
    for first in range(0, rows, tall):
        for begin in range(0, columns, part):
            high, wide = min(tall, rows - first), min(part, columns - begin)
            _take_apart(pixels, first, high, begin, wide, apart)
            for number in range(len(planes)):
                height, down, right = planes[number, 0], planes[number, 1], planes[number, 2]
                row = (top + first) // (8 * down)
                blocks = -(-wide // (8 * right))
                for line in range(row, row - (-high // (8 * down))):
                    for y in range(8):
                        sample = min(line * 8 + y, height - 1)
                        sums[:] = 0
                        for one in range(down):
                            at = min(sample * down + one, size[0] - 1) - top - first
                            _add_samples(apart, at, weights[number], sums[:wide])
                        sums[wide:] = sums[wide - 1]
                        _average(sums, down, right, samples[y * _LINE : (y + 1) * _LINE], blocks)
                    start = local[number, 0] + (line - top // (8 * down)) * local[number, 1] + begin // (8 * right)
                    _quantise(samples, turned, steps[number], coded[start : start + blocks])


@compiled
def _take_apart(pixels, first, high, begin, wide, apart):
    """Channels of (h, w, C) uint8 pixels as (C, h, w) int32."""
    channels = pixels.shape[2]
    for y in range(high):
        line = pixels[first + y].reshape(-1)[begin * channels : (begin + wide) * channels]
        if channels == 3:
            red, green, blue = apart[0, y], apart[1, y], apart[2, y]
            for x in range(wide):
                red[x], green[x], blue[x] = line[3 * x], line[3 * x + 1], line[3 * x + 2]
        else:
            for channel in range(channels):
                for x in range(wide):
                    apart[channel, y, x] = line[x * channels + channel]


@compiled
def _add_samples(apart, y, weights, sums):
    """Add a row of pixels as samples of one plane."""
    channels = len(weights) - 1
    if channels == 3:
        red, green, blue = apart[0, y], apart[1, y], apart[2, y]
        first, second, third, more = weights[0], weights[1], weights[2], weights[3]
        for x in range(len(sums)):
            level = _i(_i(red[x] * first) + _i(green[x] * second) + _i(blue[x] * third) + more) >> _i(16)
            sums[x] = _i(sums[x] + level)
        return
    for x in range(len(sums)):
        level = weights[channels]
        for channel in range(channels):
            level = _i(level + _i(apart[channel, y, x] * weights[channel]))
        sums[x] = _i(sums[x] + _i(level >> _i(16)))


@compiled
def _average(sums, down, across, samples, blocks):
    """Samples around 0, (8, _BLOCKS), a column for every block, from sums over `down` rows of pixels.

    Halves are rounded up in every second column alone where libjpeg has code of its own, elsewhere in all.
    """
    count = down * across
    if count == 1:
        for block in range(blocks):
            for x in range(8):
                samples[x * _BLOCKS + block] = _i(sums[8 * block + x] - _i(128))
    elif across == 2 and down <= 2:
        shift = _i(down)
        for block in range(blocks):
            for x in range(8):
                at, bias = 16 * block + 2 * x, _i(down - 1 + x % 2)
                samples[x * _BLOCKS + block] = _i(_i(_i(sums[at] + sums[at + 1] + bias) >> shift) - _i(128))
    else:
        for block in range(blocks):
            for x in range(8):
                total = _i(count // 2)
                for one in range(across):
                    total = _i(total + sums[(8 * block + x) * across + one])
                samples[x * _BLOCKS + block] = _i(total // _i(count) - _i(128))


@compiled
def _quantise(samples, turned, steps, coded):
    """Transform (8, 8, _BLOCKS) samples into the (n, 64) quantised coefficients of some blocks."""
    blocks = len(coded)
    for y in range(8):
        _forward(samples[y * _LINE : (y + 1) * _LINE], turned[y * _BLOCKS :], blocks, -2, 11)
    for u in range(8):
        _forward(turned[u * _LINE : (u + 1) * _LINE], samples[u * _BLOCKS :], blocks, 2, 15)
    coded[:] = 0
    for place in range(64):
        divisor, line, any_size = _f(8 * steps[place]), samples[place * _BLOCKS : (place + 1) * _BLOCKS], _i(0)
        half = _f(divisor / _f(2))
        for block in range(blocks):
            size = _i(np.floor((_f(abs(line[block])) + half) / divisor))  # of whole numbers in a float32: exact
            any_size |= size
            line[block] = size if line[block] >= 0 else _i(-size)
        if any_size:
            for block in range(blocks):
                coded[block, place] = line[block]
