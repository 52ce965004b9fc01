"""From coefficients to pixels with the very numbers of libjpeg-turbo (jidctint.c, jdsample.c, jdcolor.c), compiled.

All is in 32-bit integers: what numba would widen is cut back, so that eight numbers are worked on at a time.
"""

import numpy as np

from provenance.embedding.compiled import compiled

_i = np.int32
_8 = 8


@compiled
def _inverse(block, half, shift):
    """Eight inverse transforms of length eight, down the columns of an (8, 8) int32 block; jpeg_idct_islow."""
    for x in range(8):
        z2, z3 = block[2, x], block[6, x]
        z1 = _i((z2 + z3) * _i(4433))
        even2 = _i(z1 - z3 * _i(15137))
        even3 = _i(z1 + z2 * _i(6270))
        even0 = _i((block[0, x] + block[4, x]) << 13)
        even1 = _i((block[0, x] - block[4, x]) << 13)
        t10, t13 = _i(even0 + even3), _i(even0 - even3)
        t11, t12 = _i(even1 + even2), _i(even1 - even2)
        t0, t1, t2, t3 = block[7, x], block[5, x], block[3, x], block[1, x]
        z5 = _i(_i(t0 + t2 + t1 + t3) * _i(9633))
        z1 = _i(_i(t0 + t3) * _i(-7373))
        z2 = _i(_i(t1 + t2) * _i(-20995))
        z3 = _i(_i(_i(t0 + t2) * _i(-16069)) + z5)
        z4 = _i(_i(_i(t1 + t3) * _i(-3196)) + z5)
        t0 = _i(_i(t0 * _i(2446)) + z1 + z3)
        t1 = _i(_i(t1 * _i(16819)) + z2 + z4)
        t2 = _i(_i(t2 * _i(25172)) + z2 + z3)
        t3 = _i(_i(t3 * _i(12299)) + z1 + z4)
        block[0, x] = _i(t10 + t3 + half) >> shift
        block[7, x] = _i(t10 - t3 + half) >> shift
        block[1, x] = _i(t11 + t2 + half) >> shift
        block[6, x] = _i(t11 - t2 + half) >> shift
        block[2, x] = _i(t12 + t1 + half) >> shift
        block[5, x] = _i(t12 - t1 + half) >> shift
        block[3, x] = _i(t13 + t0 + half) >> shift
        block[4, x] = _i(t13 - t0 + half) >> shift


@compiled
def samples_of(coefs, start, stride, steps, top, left, samples):
    """Samples of a plane's blocks from row `top` and column `left` on, as many as `samples` (8 m, 8 n) uint8 holds.

    coefs: (blocks, 64) int16; steps: (8, 8) int32, the quantiser's.
    """
    block, turned = np.empty((8, 8), np.int32), np.empty((8, 8), np.int32)
    for row in range(samples.shape[0] // 8):
        for column in range(samples.shape[1] // 8):
            one = start + (top + row) * stride + left + column
            rest = 0
            for place in range(1, 64):
                rest |= coefs[one, place]
            if rest == 0:
                level = ((np.int64(coefs[one, 0]) * np.int64(steps[0, 0]) * 4 + 16) >> 5) + 128
                samples[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = min(max(level, 0), 255)
                continue
            for y in range(8):
                for x in range(8):
                    block[y, x] = _i(_i(coefs[one, y * 8 + x]) * steps[y, x])
            _inverse(block, _i(1 << 10), _i(11))
            for y in range(8):
                for x in range(8):
                    turned[x, y] = block[y, x]
            _inverse(turned, _i(1 << 17), _i(18))
            for y in range(8):
                for x in range(8):
                    level = turned[x, y] + 128
                    samples[row * 8 + y, column * 8 + x] = min(max(level, 0), 255)


@compiled
def enlarged(samples, first_row, first_column, height, width, down, across, smooth, top, left, out):
    """Pixels (h, w) uint8 from `top` and `left` on of a plane of which `samples` holds a part.

    first_row, first_column: of that part; height, width: of the whole plane, in samples. down, across: pixels of a
    sample. smooth: by triangles, as libjpeg does for factors of 2 alone, else by repetition.
    """
    rows, columns = out.shape
    blend_down, blend_across = smooth and down == 2, smooth and across == 2
    first = left // across
    count = (left + columns - 1) // across - first + 1
    line = np.empty(count + 2, np.int32)
    wide = np.empty(2 * count, np.uint8)
    for y in range(rows):
        row = (top + y) // down
        near = row
        if blend_down:
            near = min(max(row - 1 if (top + y) % 2 == 0 else row + 1, 0), height - 1)
        row, near = row - first_row, near - first_row
        if not blend_across:
            if not blend_down:
                if across == 1:
                    for x in range(columns):
                        out[y, x] = samples[row, left - first_column + x]
                else:
                    for x in range(columns):
                        out[y, x] = samples[row, (left + x) // across - first_column]
            else:
                bias = _i(1 + (top + y) % 2)
                for x in range(columns):
                    place = left - first_column + x
                    out[y, x] = _i(samples[row, place] * 3 + samples[near, place] + bias) >> 2
            continue
        low, high = max(first - 1, 0), min(first + count, width - 1)
        shift = first_column
        if blend_down:
            for x in range(count):
                place = first + x - shift
                line[x + 1] = _i(samples[row, place] * 3 + samples[near, place])
            line[0] = samples[row, low - shift] * 3 + samples[near, low - shift]
            line[count + 1] = samples[row, high - shift] * 3 + samples[near, high - shift]
            for x in range(count):
                wide[2 * x] = _i(line[x + 1] * 3 + line[x] + 8) >> 4
                wide[2 * x + 1] = _i(line[x + 1] * 3 + line[x + 2] + 7) >> 4
        else:
            for x in range(count):
                line[x + 1] = samples[row, first + x - shift]
            line[0], line[count + 1] = samples[row, low - shift], samples[row, high - shift]
            for x in range(count):
                wide[2 * x] = _i(line[x + 1] * 3 + line[x] + 1) >> 2
                wide[2 * x + 1] = _i(line[x + 1] * 3 + line[x + 2] + 2) >> 2
        begin = left - first * 2
        for x in range(columns):
            out[y, x] = wide[begin + x]


@compiled
def coloured(luma, blue, red, out):
    """YCbCr (h, w) uint8 each as RGB, into the first channels of `out` (h, w, C) uint8."""
    for y in range(luma.shape[0]):
        for x in range(luma.shape[1]):
            level, b, r = _i(luma[y, x]), _i(blue[y, x]) - _i(128), _i(red[y, x]) - _i(128)
            b, r = _i(b), _i(r)
            first = _i(level + (_i(_i(91881) * r + _i(32768)) >> _i(16)))
            second = _i(level + (_i(_i(-22554) * b + _i(-46802) * r + _i(32768)) >> _i(16)))
            third = _i(level + (_i(_i(116130) * b + _i(32768)) >> _i(16)))
            out[y, x, 0] = min(max(first, 0), 255)
            out[y, x, 1] = min(max(second, 0), 255)
            out[y, x, 2] = min(max(third, 0), 255)
