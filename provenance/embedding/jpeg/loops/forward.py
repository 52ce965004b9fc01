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
    inside = left - first_column * 8 * across
    own = pixels[inside : inside + columns]
    strip = np.zeros((8, wide), np.float32)
    scale = _f(1.0 / (65536 * down * across))
    to_edge = left + columns == size[1]
    for row in range(first_row, last_row + 1):
        for y in range(8):
            sample = min(row * 8 + y, height - 1)
            own[:] = 0
            for one in range(down):
                line = min(sample * down + one, size[0] - 1) - top
                if 0 <= line < rows:
                    _add_weighted(before[line], after[line], weights, own)
            if to_edge:
                pixels[inside + columns :] = own[columns - 1]
            _add_up(pixels, across, scale, strip[y])
        for column in range(first_column, last_column + 1):
            at = (column - first_column) * 8
            one = start + row * stride + column
            if _transform(strip[:, at : at + 8], steps, coefs[one]):
                changed[one] = 1


@compiled
def _add_weighted(before, after, weights, sums):
    """Add the weighted differences of a row of pixels, (w, C) uint8 each, to (w,) int32."""
    if before.shape[1] == 3:
        first, second, third = weights[0], weights[1], weights[2]
        for x in range(len(sums)):
            red = np.int32(after[x, 0]) - np.int32(before[x, 0])
            green = np.int32(after[x, 1]) - np.int32(before[x, 1])
            blue = np.int32(after[x, 2]) - np.int32(before[x, 2])
            sums[x] += np.int32(red * first + green * second + blue * third)
        return
    for channel in range(before.shape[1]):
        if weights[channel]:
            for x in range(len(sums)):
                change = np.int32(after[x, channel]) - np.int32(before[x, channel])
                sums[x] += np.int32(change * weights[channel])


@compiled
def _add_up(pixels, across, scale, samples):
    """Means over `across` pixels, float32."""
    if across == 1:
        for x in range(len(samples)):
            samples[x] = _f(pixels[x]) * scale
    elif across == 2:
        for x in range(len(samples)):
            samples[x] = _f(np.int32(pixels[2 * x] + pixels[2 * x + 1])) * scale
    else:
        for x in range(len(samples)):
            total = np.int32(0)
            for one in range(across):
                total = np.int32(total + pixels[x * across + one])
            samples[x] = _f(total) * scale


@compiled
def _transform(levels, steps, coefs):
    """Add the transform of (8, 8) float32 levels to (64,) coefficients; whether any of these changed."""
    block, turned = np.empty((8, 8), np.float32), np.empty((8, 8), np.float32)
    most = _f(0)
    for y in range(8):
        for x in range(8):
            turned[x, y] = levels[y, x]
            most = max(most, abs(levels[y, x]))
    if most == 0:
        return False
    _forward(turned)
    for y in range(8):
        for x in range(8):
            block[y, x] = turned[x, y]
    _forward(block)
    any_step = False
    for y in range(8):
        for x in range(8):
            step = np.int32(np.rint(block[y, x] / steps[y, x]))
            value = np.int32(coefs[y * 8 + x]) + step
            coefs[y * 8 + x] = (
                min(max(value, np.int32(-_LARGEST - (y + x == 0))), np.int32(_LARGEST)) if step else value
            )
            any_step |= step != 0
    return any_step
