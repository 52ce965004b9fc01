"""From a difference of pixels to a difference of coefficients, compiled; float32, every operation in a fixed order."""

import math

import numpy as np

from provenance.compiling import compiled

_f = np.float32
# Cosines of the orthonormal DCT-II of length eight, halved: half of cos(k pi / 16).
_C1, _C2, _C3, _C4, _C5, _C6, _C7 = (np.float32(math.cos(k * math.pi / 16) / 2) for k in range(1, 8))
_LARGEST = 1023  # of a quantised coefficient in baseline coding; DC goes one further down


@compiled
def _forward(block):
    """Eight orthonormal DCT-II of length eight, down the columns of a (64,) float32 block."""
    for x in range(8):
        s0, d0 = block[x] + block[56 + x], block[x] - block[56 + x]
        s1, d1 = block[8 + x] + block[48 + x], block[8 + x] - block[48 + x]
        s2, d2 = block[16 + x] + block[40 + x], block[16 + x] - block[40 + x]
        s3, d3 = block[24 + x] + block[32 + x], block[24 + x] - block[32 + x]
        e0, e1, o0, o1 = s0 + s3, s1 + s2, s0 - s3, s1 - s2
        block[x] = (e0 + e1) * _C4
        block[32 + x] = (e0 - e1) * _C4
        block[16 + x] = o0 * _C2 + o1 * _C6
        block[48 + x] = o0 * _C6 - o1 * _C2
        block[8 + x] = (d0 * _C1 + d1 * _C3) + (d2 * _C5 + d3 * _C7)
        block[24 + x] = (d0 * _C3 - d1 * _C7) - (d2 * _C1 + d3 * _C5)
        block[40 + x] = (d0 * _C5 - d1 * _C1) + (d2 * _C7 + d3 * _C3)
        block[56 + x] = (d0 * _C7 - d1 * _C5) + (d2 * _C3 - d3 * _C1)


@compiled
def add_difference(
    before, after, top, left, size, weights, width, height, down, across, start, stride, steps, coefs, changed
):
    """Add to a plane's coefficients what the pixels of a region differ by.

    Args:
        before, after: (h, w, C) uint8, from `top` and `left` on in a picture of `size` (down, across). weights: (C,)
            float32, of the channels in the plane, in 1/65536. width, height: of the plane, samples of `down` x `across`
            pixels. start, stride: of its blocks. steps: (64,) float32. coefs, changed: (blocks, 64), (blocks,) uint8.
    """
    rows, columns, channels = before.shape
    first_row, first_column = top // (8 * down), left // (8 * across)
    last_row = (min((top + rows - 1) // down, height - 1)) // 8
    last_column = (min((left + columns - 1) // across, width - 1)) // 8
    wide = (last_column + 1 - first_column) * 8
    pixels = np.zeros(wide * across, np.float32)
    inside = left - first_column * 8 * across
    own = pixels[inside : inside + columns]
    strip = np.zeros((8, wide), np.float32)
    block, turned = np.empty(64, np.float32), np.empty(64, np.float32)
    scale = _f(1.0 / (65536 * down * across))
    to_edge = left + columns == size[1]
    for row in range(first_row, last_row + 1):
        for y in range(8):
            sample = min(row * 8 + y, height - 1)
            own[:] = 0
            for one in range(down):
                line = min(sample * down + one, size[0] - 1) - top
                if 0 <= line < rows:
                    _add_weighted(before[line].reshape(-1), after[line].reshape(-1), channels, weights, own)
            if to_edge:
                pixels[inside + columns :] = own[columns - 1]
            _add_up(pixels, across, scale, strip[y])
        for column in range(first_column, last_column + 1):
            at = (column - first_column) * 8
            one = start + row * stride + column
            if _transform(strip, at, steps, coefs, one, block, turned):
                changed[one] = 1


@compiled
def _add_weighted(before, after, channels, weights, sums):
    """Add the weighted differences of a row of pixels, (w * channels,) uint8 each, to (w,) float32.

    Those of one row are whole numbers below 2^24, and exact.
    """
    if channels == 3:
        first, second, third = weights[0], weights[1], weights[2]
        for x in range(len(sums)):
            red = _f(after[3 * x]) - _f(before[3 * x])
            green = _f(after[3 * x + 1]) - _f(before[3 * x + 1])
            blue = _f(after[3 * x + 2]) - _f(before[3 * x + 2])
            sums[x] += (red * first + green * second) + blue * third
        return
    for channel in range(channels):
        for x in range(len(sums)):
            sums[x] += (_f(after[x * channels + channel]) - _f(before[x * channels + channel])) * weights[channel]


@compiled
def _add_up(pixels, across, scale, samples):
    """Means over `across` pixels."""
    if across == 1:
        for x in range(len(samples)):
            samples[x] = pixels[x] * scale
    elif across == 2:
        for x in range(len(samples)):
            samples[x] = (pixels[2 * x] + pixels[2 * x + 1]) * scale
    else:
        for x in range(len(samples)):
            total = _f(0)
            for one in range(across):
                total += pixels[x * across + one]
            samples[x] = total * scale


@compiled
def _transform(strip, at, steps, coefs, one, block, turned):
    """Add to a block's coefficients the transform of eight columns of an (8, n) strip; whether any of them changed."""
    any_change = False
    for y in range(8):
        for x in range(8):
            level = strip[y, at + x]
            turned[x * 8 + y] = level
            any_change |= level != 0
    if not any_change:
        return False
    _forward(turned)
    for y in range(8):
        for x in range(8):
            block[y * 8 + x] = turned[x * 8 + y]
    _forward(block)
    any_step = _f(0)
    for place in range(64):
        block[place] = np.rint(block[place] / steps[place])
    for place in range(64):
        any_step += abs(block[place])
    if any_step == 0:
        return False
    for place in range(64):
        value = np.int32(np.int32(coefs[one, place]) + np.int32(block[place]))
        if block[place] != 0:
            value = min(max(value, -_LARGEST - (place == 0)), _LARGEST)
        coefs[one, place] = value
    return True
