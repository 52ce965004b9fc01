"""From a difference of pixels to a difference of coefficients, compiled; float32, every operation in a fixed order."""

import math

import numpy as np

from provenance.embedding.compiled import compiled

_f = np.float32
# Cosines of the orthonormal DCT-II of length eight, halved: half of cos(k pi / 16).
_C1, _C2, _C3, _C4, _C5, _C6, _C7 = (np.float32(math.cos(k * math.pi / 16) / 2) for k in range(1, 8))
_LARGEST = 1023  # of a quantised coefficient in baseline coding; DC goes one further down


@compiled
def _forward(block):
    """Eight orthonormal DCT-II of length eight, down the columns of an (8, 8) float32 block."""
    for x in range(8):
        s0, d0 = block[0, x] + block[7, x], block[0, x] - block[7, x]
        s1, d1 = block[1, x] + block[6, x], block[1, x] - block[6, x]
        s2, d2 = block[2, x] + block[5, x], block[2, x] - block[5, x]
        s3, d3 = block[3, x] + block[4, x], block[3, x] - block[4, x]
        e0, e1, o0, o1 = s0 + s3, s1 + s2, s0 - s3, s1 - s2
        block[0, x] = (e0 + e1) * _C4
        block[4, x] = (e0 - e1) * _C4
        block[2, x] = o0 * _C2 + o1 * _C6
        block[6, x] = o0 * _C6 - o1 * _C2
        block[1, x] = (d0 * _C1 + d1 * _C3) + (d2 * _C5 + d3 * _C7)
        block[3, x] = (d0 * _C3 - d1 * _C7) - (d2 * _C1 + d3 * _C5)
        block[5, x] = (d0 * _C5 - d1 * _C1) + (d2 * _C7 + d3 * _C3)
        block[7, x] = (d0 * _C7 - d1 * _C5) + (d2 * _C3 - d3 * _C1)


@compiled
def add_difference(
    before, after, top, left, size, weights, width, height, down, across, start, stride, steps, coefs, changed
):
    """Add to a plane's coefficients what the pixels of a region differ by.

    Args:
        before, after: (h, w, C) uint8, from `top` and `left` on in a picture of `size` (down, across). weights: (C,)
            int32, of the channels in the plane, in 1/65536. width, height: of the plane, samples of `down` x `across`
            pixels. start, stride: of its blocks. steps: (8, 8) float32. coefs, changed: (blocks, 64), (blocks,) uint8.
    """
    rows, columns, channels = before.shape
    first_row, first_column = top // (8 * down), left // (8 * across)
    last_row = (min((top + rows - 1) // down, height - 1)) // 8
    last_column = (min((left + columns - 1) // across, width - 1)) // 8
    wide = (last_column + 1 - first_column) * 8
    pixels = np.zeros(wide * across, np.int32)
    strip = np.zeros((8, wide), np.float32)
    block, turned = np.empty((8, 8), np.float32), np.empty((8, 8), np.float32)
    inside = left - first_column * 8 * across
    scale = _f(1.0 / (65536 * down * across))
    to_edge = left + columns == size[1]
    for row in range(first_row, last_row + 1):
        for y in range(8):
            sample = min(row * 8 + y, height - 1)
            pixels[:] = 0
            for one in range(down):
                line = min(sample * down + one, size[0] - 1) - top
                if 0 <= line < rows:
                    for x in range(columns):
                        found = np.int32(0)
                        for channel in range(channels):
                            change = np.int32(after[line, x, channel]) - np.int32(before[line, x, channel])
                            found = np.int32(found + np.int32(change) * weights[channel])
                        pixels[inside + x] += found
            if to_edge:
                for x in range(inside + columns, len(pixels)):
                    pixels[x] = pixels[inside + columns - 1]
            for x in range(wide):
                total = np.int64(0)
                for one in range(across):
                    total += pixels[x * across + one]
                strip[y, x] = _f(total) * scale
        for column in range(first_column, last_column + 1):
            at = (column - first_column) * 8
            any_change = False
            for y in range(8):
                for x in range(8):
                    turned[x, y] = strip[y, at + x]
                    any_change |= strip[y, at + x] != 0
            if not any_change:
                continue
            _forward(turned)
            for y in range(8):
                for x in range(8):
                    block[y, x] = turned[x, y]
            _forward(block)
            one = start + row * stride + column
            for y in range(8):
                for x in range(8):
                    step = np.int32(np.rint(block[y, x] / steps[y, x]))
                    if step != 0:
                        value = np.int32(coefs[one, y * 8 + x]) + step
                        coefs[one, y * 8 + x] = min(max(value, -_LARGEST - (y + x == 0)), _LARGEST)
                        changed[one] = 1
