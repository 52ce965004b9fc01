"""From coefficients to pixels with the very numbers of libjpeg-turbo (jidctint.c, jdsample.c, jdcolor.c), compiled.

All but colours is in 32-bit integers: what numba would widen is cut back, so that eight are worked on at a time.
"""

import numpy as np

from provenance.compiling import compiled

_i, _f = np.int32, np.float32
_PART = np.float32(1 / 65536)


@compiled
def _inverse(block):
    """Eight inverse transforms of length eight, down the columns of a (64,) int32 block; jpeg_idct_islow.

    Without the division at its end, which differs between columns and rows.
    """
    for x in range(8):
        z2, z3 = block[16 + x], block[48 + x]
        z1 = _i((z2 + z3) * _i(4433))
        even2 = _i(z1 - z3 * _i(15137))
        even3 = _i(z1 + z2 * _i(6270))
        even0 = _i((block[x] + block[32 + x]) << 13)
        even1 = _i((block[x] - block[32 + x]) << 13)
        t10, t13 = _i(even0 + even3), _i(even0 - even3)
        t11, t12 = _i(even1 + even2), _i(even1 - even2)
        t0, t1, t2, t3 = block[56 + x], block[40 + x], block[24 + x], block[8 + x]
        z5 = _i(_i(t0 + t2 + t1 + t3) * _i(9633))
        z1 = _i(_i(t0 + t3) * _i(-7373))
        z2 = _i(_i(t1 + t2) * _i(-20995))
        z3 = _i(_i(_i(t0 + t2) * _i(-16069)) + z5)
        z4 = _i(_i(_i(t1 + t3) * _i(-3196)) + z5)
        t0 = _i(_i(t0 * _i(2446)) + z1 + z3)
        t1 = _i(_i(t1 * _i(16819)) + z2 + z4)
        t2 = _i(_i(t2 * _i(25172)) + z2 + z3)
        t3 = _i(_i(t3 * _i(12299)) + z1 + z4)
        block[x] = _i(t10 + t3)
        block[56 + x] = _i(t10 - t3)
        block[8 + x] = _i(t11 + t2)
        block[48 + x] = _i(t11 - t2)
        block[16 + x] = _i(t12 + t1)
        block[40 + x] = _i(t12 - t1)
        block[24 + x] = _i(t13 + t0)
        block[32 + x] = _i(t13 - t0)


@compiled
def samples_of(coefs, start, stride, steps, top, left, samples):
    """Samples of a plane's blocks from row `top` and column `left` on, as many as `samples` (8 m, 8 n) uint8 holds.

    coefs: (blocks, 64) int16; steps: (64,) int32, the quantiser's.
    """
    block, turned = np.empty(64, np.int32), np.empty(64, np.int32)
    for row in range(samples.shape[0] // 8):
        for column in range(samples.shape[1] // 8):
            one = start + (top + row) * stride + left + column
            rest = 0
            for place in range(1, 64):
                rest |= coefs[one, place]
            if rest == 0:
                level = ((np.int64(coefs[one, 0]) * np.int64(steps[0]) * 4 + 16) >> 5) + 128
                level = np.uint8(min(max(level, 0), 255))
                for y in range(8):
                    for x in range(8):
                        samples[row * 8 + y, column * 8 + x] = level
                continue
            for place in range(64):
                block[place] = _i(_i(coefs[one, place]) * steps[place])
            _inverse(block)
            for y in range(8):
                for x in range(8):
                    turned[x * 8 + y] = _i(block[y * 8 + x] + _i(1 << 10)) >> _i(11)
            _inverse(turned)
            for y in range(8):
                for x in range(8):
                    level = _i(_i(_i(turned[x * 8 + y] + _i(1 << 17)) >> _i(18)) + _i(128))
                    samples[row * 8 + y, column * 8 + x] = min(max(level, _i(0)), _i(255))


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
    part = slice(first - first_column, first - first_column + count)
    # One more on either side; at the plane's edges the outermost sample once more.
    before = max(first - 1, 0) - first_column
    behind = min(first + count, width - 1) - first_column
    line, wide = np.empty(count + 2, np.int32), np.empty((count, across), np.uint8)
    pixels = wide.reshape(-1)[left - first * across : left - first * across + columns]
    for y in range(rows):
        row = (top + y) // down
        near = row
        if blend_down:
            near = min(max(row - 1 if (top + y) % 2 == 0 else row + 1, 0), height - 1)
        here, there = samples[row - first_row], samples[near - first_row]
        if blend_across:
            _blend_down(here[part], there[part], blend_down, line[1:-1])
            line[0] = here[before] * 3 + there[before] if blend_down else here[before]
            line[-1] = here[behind] * 3 + there[behind] if blend_down else here[behind]
            if blend_down:
                _blend_across(line, _i(8), _i(7), _i(4), wide)
            else:
                _blend_across(line, _i(1), _i(2), _i(2), wide)
            out[y] = pixels
        elif blend_down:
            _blend_two(here[part], there[part], _i(1 + (top + y) % 2), out[y])
        else:
            for one in range(across):
                wide[:, one] = here[part]
            out[y] = pixels


@compiled
def _blend_down(here, there, with_there, sums):
    if with_there:
        for x in range(len(sums)):
            sums[x] = _i(_i(here[x]) * _i(3) + _i(there[x]))
    else:
        for x in range(len(sums)):
            sums[x] = here[x]


@compiled
def _blend_two(here, there, bias, out):
    for x in range(len(out)):
        out[x] = _i(_i(here[x]) * _i(3) + _i(there[x]) + bias) >> _i(2)


@compiled
def _blend_across(line, left_bias, right_bias, shift, wide):
    """Two pixels of every sample: a triangle over it and its neighbours; line: (n + 2,), wide: (n, 2)."""
    for x in range(len(wide)):
        middle = _i(line[x + 1] * _i(3))
        wide[x, 0] = _i(middle + line[x] + left_bias) >> shift
        wide[x, 1] = _i(middle + line[x + 2] + right_bias) >> shift


@compiled
def coloured(luma, blue, red, out):
    """YCbCr, (n,) uint8 each, as RGB (3 n,) uint8.

    In float32, of which eight are worked on at a time: all products are whole numbers below 2^24, so nothing is rounded
    but where libjpeg rounds.
    """
    for at in range(len(luma)):
        level, b, r = _f(luma[at]), _f(blue[at]) - _f(128), _f(red[at]) - _f(128)
        first = level + np.floor((_f(91881) * r + _f(32768)) * _PART)
        second = level + np.floor((_f(-22554) * b + _f(-46802) * r + _f(32768)) * _PART)
        third = level + np.floor((_f(116130) * b + _f(32768)) * _PART)
        out[3 * at] = np.uint8(min(max(first, _f(0)), _f(255)))
        out[3 * at + 1] = np.uint8(min(max(second, _f(0)), _f(255)))
        out[3 * at + 2] = np.uint8(min(max(third, _f(0)), _f(255)))
