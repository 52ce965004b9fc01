"""Sequential scans: from bits to coefficients (ITU-T T.81, annex F) and back as libjpeg writes them, compiled.

`source` holds a scan's bytes as `unstuff` gives them; `ends[i]` is where its i-th part between restart markers ends. A
plan has a row for every block of a unit: first block, step across, step down, plane, rows of its DC and AC tables.
`coefs` is (blocks, 64) int16 in natural order. What is written has neither stuffing nor markers; every part starts at a
whole byte.
"""

import numpy as np

from provenance.embedding.compiled import compiled
from provenance.embedding.jpeg.loops.bits import (
    NATURAL,
    ahead_of,
    bits_of,
    copy_bits,
    finish,
    is_padding,
    lowest_bit,
    put,
    put_number,
    value_of,
)

ROOM = 1 << 13  # bytes; more than a unit of a scan can be long
FINE, DAMAGED, UNUSUAL = 0, 1, 2

_ZIGZAG = np.argsort(NATURAL)
# For every byte of a bit set in natural order the set in the order of the scan.
_REORDERED = np.array(
    [
        [sum(1 << int(_ZIGZAG[8 * byte + bit]) for bit in range(8) if value >> bit & 1) for value in range(256)]
        for byte in range(8)
    ],
    dtype=np.uint64,
)
_1, _12, _16 = np.uint64(1), np.uint64(64 - 12), np.uint64(64 - 16)


@compiled
def read_sequential(
    source, ends, interval, across, down, plan, ahead, whole, counting, counts, coefs, kept, at, done, pads
):
    """Read a sequential scan; returns FINE, DAMAGED, or UNUSUAL where an encoder would have coded otherwise.

    kept: (2,) rows of units between which coefficients are stored. at: (units,), done: (parts,) are filled with the
    bits at which units start and parts end. counts: (tables, 256), how often symbols occur, where `counting`.
    """
    before = np.zeros(4, np.int64)
    row, column, start = 0, 0, 0
    for part in range(len(ends)):
        position, left, word = start * 8, 0, np.uint64(0)
        start = ends[part]
        before[:] = 0
        for unit in range(part * interval, min((part + 1) * interval, across * down)):
            at[unit] = position
            keeping = kept[0] <= row < kept[1]
            for number in range(len(plan)):
                block = plan[number, 0] + column * plan[number, 1] + row * plan[number, 2]
                plane, dc, ac = plan[number, 3], plan[number, 4], plan[number, 5]
                if left < 32:
                    word = ahead_of(source, position)
                    left = 57
                code = np.int64(ahead[dc, np.int64(word >> _12)])
                if code == 0:
                    code = np.int64(whole[dc, np.int64(word >> _16)])
                    if code == 0:
                        return DAMAGED
                if counting:
                    counts[dc, code >> 5] += 1
                length, bits = code & 31, (code >> 5) & 15
                if bits:
                    before[plane] += value_of(word, length, bits)
                    if before[plane] < -2048 or before[plane] > 2047:
                        return UNUSUAL
                word <<= np.uint64(length)
                position += length
                left -= length
                if keeping:
                    coefs[block, 0] = before[plane]
                place, skipped = 1, False
                while place < 64:
                    if left < 32:
                        word = ahead_of(source, position)
                        left = 57
                    code = np.int64(ahead[ac, np.int64(word >> _12)])
                    if code == 0:
                        code = np.int64(whole[ac, np.int64(word >> _16)])
                        if code == 0:
                            return DAMAGED
                    length, symbol = code & 31, code >> 5
                    if counting:
                        counts[ac, symbol] += 1
                    bits = symbol & 15
                    if bits == 0:
                        word <<= np.uint64(length)
                        position += length
                        left -= length
                        if symbol == 0:
                            break
                        if symbol != 0xF0:
                            return DAMAGED
                        place += 16
                        skipped = True
                        continue
                    place += symbol >> 4
                    if place > 63 or bits > 10:
                        return DAMAGED
                    if keeping:
                        coefs[block, NATURAL[place]] = value_of(word, length, bits)
                    word <<= np.uint64(length)
                    position += length
                    left -= length
                    place += 1
                    skipped = False
                if skipped:  # zeros at a block's end, spelt out
                    return UNUSUAL
            if position > start * 8:
                return DAMAGED
            column += 1
            if column == across:
                column, row = 0, row + 1
        done[part] = position
        if not is_padding(source, position, start, pads):
            return UNUSUAL
    return FINE


@compiled
def _set_of(coefs, block):
    """Which coefficients of a block are not zero, a bit for each in the order of the scan."""
    found = np.uint64(0)
    for place in range(64):
        found |= np.uint64(coefs[block, place] != 0) << np.uint64(place)
    ordered = np.uint64(0)
    for byte in range(8):
        ordered |= _REORDERED[byte, np.int64((found >> np.uint64(8 * byte)) & np.uint64(255))]
    return ordered


@compiled
def count_sequential(coefs, plan, interval, across, down, counts):
    """How often each symbol of each table (tables, 256) is needed for a sequential scan."""
    before = np.zeros(4, np.int64)
    for unit in range(across * down):
        if unit % interval == 0:
            before[:] = 0
        for number in range(len(plan)):
            block = plan[number, 0] + unit % across * plan[number, 1] + unit // across * plan[number, 2]
            plane, dc, ac = plan[number, 3], plan[number, 4], plan[number, 5]
            counts[dc, bits_of(coefs[block, 0] - before[plane])] += 1
            before[plane] = coefs[block, 0]
            left, last = _set_of(coefs, block) & ~_1, 0
            while left:
                place = lowest_bit(left)
                left &= left - _1
                zeros = place - last - 1
                last = place
                counts[ac, 0xF0] += zeros >> 4
                counts[ac, (zeros & 15) << 4 | bits_of(coefs[block, NATURAL[place]])] += 1
            if last < 63:
                counts[ac, 0] += 1


@compiled
def write_sequential(coefs, plan, interval, across, down, codes, pad, source, at, done, anew, out, ends):
    """Write a sequential scan: units that are `anew` from coefficients, others as their bits are in the source.

    source, at, done: as they were read. codes: (tables, 256), a code times 32 and its length. ends: (parts,) is filled.
    Returns the bytes written, -1 where there is no room for them, -2 where a symbol has no code.
    """
    before = np.zeros(4, np.int64)
    size, missing = 0, False
    for part in range(len(ends)):
        word, held = np.uint64(0), 0
        unit, stop = part * interval, min((part + 1) * interval, across * down)
        before[:] = 0
        while unit < stop:
            if not anew[unit]:
                start = at[unit]
                while unit < stop and not anew[unit]:
                    unit += 1
                end = at[unit] if unit < stop else done[part]
                if size + ((end - start) >> 3) + ROOM > len(out):
                    return -1
                word, held, size = copy_bits(source, start, end, out, word, held, size)
                for number in range(len(plan)):
                    row, column = (unit - 1) // across, (unit - 1) % across
                    block = plan[number, 0] + column * plan[number, 1] + row * plan[number, 2]
                    before[plan[number, 3]] = coefs[block, 0]
                continue
            if size + ROOM > len(out):
                return -1
            row, column = unit // across, unit % across
            for number in range(len(plan)):
                block = plan[number, 0] + column * plan[number, 1] + row * plan[number, 2]
                plane, dc, ac = plan[number, 3], plan[number, 4], plan[number, 5]
                value = coefs[block, 0] - before[plane]
                before[plane] = coefs[block, 0]
                bits = bits_of(value)
                code = np.int64(codes[dc, bits])
                missing |= code == 0
                word, held, size = put_number(out, word, held, size, code, value, bits)
                left, last = _set_of(coefs, block) & ~_1, 0
                while left:
                    place = lowest_bit(left)
                    left &= left - _1
                    zeros = place - last - 1
                    last = place
                    while zeros > 15:
                        code = np.int64(codes[ac, 0xF0])
                        missing |= code == 0
                        word, held, size = put(out, word, held, size, code >> 5, code & 31)
                        zeros -= 16
                    value = np.int64(coefs[block, NATURAL[place]])
                    bits = bits_of(value)
                    code = np.int64(codes[ac, (zeros << 4 | bits) & 255])
                    missing |= code == 0
                    word, held, size = put_number(out, word, held, size, code, value, bits)
                if last < 63:
                    code = np.int64(codes[ac, 0])
                    missing |= code == 0
                    word, held, size = put(out, word, held, size, code >> 5, code & 31)
            unit += 1
        size = finish(out, word, held, size, pad)
        ends[part] = size
    return -2 if missing else size


@compiled
def units_anew(changed, plan, across, down):
    """Which units are to be written anew, (units,) uint8: those of changed blocks, and the one behind each.

    In that one DC coefficients are coded as differences from changed ones.
    """
    anew = np.zeros(across * down, np.uint8)
    for unit in range(across * down):
        row, column = unit // across, unit % across
        for number in range(len(plan)):
            if changed[plan[number, 0] + column * plan[number, 1] + row * plan[number, 2]]:
                anew[unit] = 1
                if unit + 1 < across * down:
                    anew[unit + 1] = 1
    return anew
