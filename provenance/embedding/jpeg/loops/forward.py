"""From a difference of pixels to a difference of coefficients, compiled; float32, every operation in a fixed order."""

import math

import numpy as np

from provenance.compiling import compiled

_f = np.float32
# Cosines of the orthonormal DCT-II of length eight, halved: half of cos(k pi / 16).
_C1, _C2, _C3, _C4, _C5, _C6, _C7 = (np.float32(math.cos(k * math.pi / 16) / 2) for k in range(1, 8))
_BLOCKS = 128  # that are transformed together: what is held of them stays nearby
_LINE = 8 * _BLOCKS


@compiled
def _forward(lines, out, blocks):
    """Orthonormal DCT-II of length eight over the first axis of (8, _BLOCKS) float32, into every eighth line of out."""
    for x in range(blocks):
        s0, d0 = lines[x] + lines[7 * _BLOCKS + x], lines[x] - lines[7 * _BLOCKS + x]
        s1, d1 = lines[_BLOCKS + x] + lines[6 * _BLOCKS + x], lines[_BLOCKS + x] - lines[6 * _BLOCKS + x]
        s2, d2 = lines[2 * _BLOCKS + x] + lines[5 * _BLOCKS + x], lines[2 * _BLOCKS + x] - lines[5 * _BLOCKS + x]
        s3, d3 = lines[3 * _BLOCKS + x] + lines[4 * _BLOCKS + x], lines[3 * _BLOCKS + x] - lines[4 * _BLOCKS + x]
        e0, e1, o0, o1 = s0 + s3, s1 + s2, s0 - s3, s1 - s2
        out[x] = (e0 + e1) * _C4
        out[4 * _LINE + x] = (e0 - e1) * _C4
        out[2 * _LINE + x] = o0 * _C2 + o1 * _C6
        out[6 * _LINE + x] = o0 * _C6 - o1 * _C2
        out[_LINE + x] = (d0 * _C1 + d1 * _C3) + (d2 * _C5 + d3 * _C7)
        out[3 * _LINE + x] = (d0 * _C3 - d1 * _C7) - (d2 * _C1 + d3 * _C5)
        out[5 * _LINE + x] = (d0 * _C5 - d1 * _C1) + (d2 * _C7 + d3 * _C3)
        out[7 * _LINE + x] = (d0 * _C7 - d1 * _C5) + (d2 * _C3 - d3 * _C1)


@compiled
def add_difference(before, after, top, left, size, planes, weights, steps, largest, coefs, changed):
    """Add to the coefficients of a picture what whole units of pixels differ by.

    Args:
        before, after: (h, w, C) uint8, from `top` and `left` on in a picture of `size`. planes: (P, 5): samples down,
            pixels of a sample (down, across), first block, blocks of a row. weights: (P, C), in 1/65536, and steps:
            (P, 64), float32. largest: size of a coefficient; DC goes one further down. coefs, changed: (blocks, 64),
        (blocks,) uint8.
    """
    rows, columns, channels = before.shape
    tall, across = 8 * planes[:, 1].max(), 8 * planes[:, 2].max()
    part = _LINE // across * across
    change = np.empty((channels, tall, part), np.float32)
    sums = np.empty(part, np.float32)
    samples, turned = np.empty(8 * _LINE, np.float32), np.empty(8 * _LINE, np.float32)
    for first in range(0, rows, tall):
        for begin in range(0, columns, part):
            high, wide = min(tall, rows - first), min(part, columns - begin)
            if not _difference(before, after, first, high, begin, wide, change):
                continue
            for number in range(len(planes)):
                height, down, right = planes[number, 0], planes[number, 1], planes[number, 2]
                row, column = (top + first) // (8 * down), (left + begin) // (8 * right)
                blocks = -(-wide // (8 * right))
                scale = _f(1.0 / (65536 * down * right))
                for line in range(row, row - (-high // (8 * down))):
                    for y in range(8):
                        sample = min(line * 8 + y, height - 1)
                        sums[:] = 0
                        for one in range(down):
                            at = min(sample * down + one, size[0] - 1) - top - first
                            _add_weighted(change, at, weights[number], sums[:wide])
                        sums[wide:] = sums[wide - 1]
                        _add_up(sums, right, scale, samples[y * _LINE : (y + 1) * _LINE], blocks)
                    start = planes[number, 3] + line * planes[number, 4] + column
                    here = slice(start, start + blocks)
                    _add_transformed(samples, turned, steps[number], largest, coefs[here], changed[here])


@compiled
def _difference(before, after, first, high, begin, wide, change):
    """Fill (C, h, w) float32 with what (h, w, C) uint8 pixels differ by; whether they do."""
    channels = before.shape[2]
    any_change = np.uint8(0)
    for y in range(high):
        one = before[first + y].reshape(-1)[begin * channels : (begin + wide) * channels]
        two = after[first + y].reshape(-1)[begin * channels : (begin + wide) * channels]
        for x in range(len(one)):
            any_change |= one[x] ^ two[x]
    if any_change == 0:
        return False
    for y in range(high):
        one = before[first + y].reshape(-1)[begin * channels : (begin + wide) * channels]
        two = after[first + y].reshape(-1)[begin * channels : (begin + wide) * channels]
        if channels == 3:
            red, green, blue = change[0, y], change[1, y], change[2, y]
            for x in range(wide):
                red[x] = _f(np.int32(two[3 * x]) - np.int32(one[3 * x]))
                green[x] = _f(np.int32(two[3 * x + 1]) - np.int32(one[3 * x + 1]))
                blue[x] = _f(np.int32(two[3 * x + 2]) - np.int32(one[3 * x + 2]))
        else:
            for channel in range(channels):
                for x in range(wide):
                    change[channel, y, x] = _f(two[x * channels + channel]) - _f(one[x * channels + channel])
    return True


@compiled
def _add_weighted(change, y, weights, sums):
    """Add the weighted differences of a row of pixels; those of one row are whole numbers up to 2^24, and exact."""
    if len(weights) == 3:
        red, green, blue = change[0, y], change[1, y], change[2, y]
        first, second, third = weights[0], weights[1], weights[2]
        for x in range(len(sums)):
            sums[x] += (red[x] * first + green[x] * second) + blue[x] * third
        return
    for channel in range(len(weights)):
        for x in range(len(sums)):
            sums[x] += change[channel, y, x] * weights[channel]


@compiled
def _add_up(pixels, across, scale, samples, blocks):
    """Means over `across` pixels: (8, _BLOCKS) samples, a column for every block."""
    if across == 1:
        for block in range(blocks):
            for x in range(8):
                samples[x * _BLOCKS + block] = pixels[8 * block + x] * scale
    elif across == 2:
        for block in range(blocks):
            for x in range(8):
                at = 16 * block + 2 * x
                samples[x * _BLOCKS + block] = (pixels[at] + pixels[at + 1]) * scale
    else:
        for block in range(blocks):
            for x in range(8):
                total = _f(0)
                for one in range(across):
                    total += pixels[(8 * block + x) * across + one]
                samples[x * _BLOCKS + block] = total * scale


@compiled
def _add_transformed(samples, turned, steps, largest, coefs, changed):
    """Add to the (n, 64) coefficients of some blocks the transform of their (8, 8, _BLOCKS) samples."""
    blocks = len(coefs)
    for y in range(8):
        _forward(samples[y * _LINE : (y + 1) * _LINE], turned[y * _BLOCKS :], blocks)
    for u in range(8):
        _forward(turned[u * _LINE : (u + 1) * _LINE], samples[u * _BLOCKS :], blocks)
    for place in range(64):
        step, line, any_step = steps[place], samples[place * _BLOCKS : (place + 1) * _BLOCKS], np.int32(0)
        for block in range(blocks):
            line[block] = np.rint(line[block] / step)
            any_step |= np.int32(line[block])
        if any_step == 0:
            continue
        for block in range(blocks):
            if line[block] != 0:
                value = np.int32(np.int32(coefs[block, place]) + np.int32(line[block]))
                coefs[block, place] = min(max(value, -largest - (place == 0)), largest)
                changed[block] = 1
