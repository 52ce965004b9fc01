"""Progressive scans: from bits to coefficients (ITU-T T.81, annex G) and back as libjpeg writes them, compiled.

Sources, parts, plans and coefficients are those of `sequential`. Functions that write return the number of bytes, -1
where `out` has no room for them.
"""

import numpy as np

from provenance.embedding.compiled import compiled
from provenance.embedding.jpeg.loops.bits import NATURAL, ahead_of, bits_of, finish, is_padding, put, value_of
from provenance.embedding.jpeg.loops.sequential import DAMAGED, FINE, UNUSUAL

ROOM = 1 << 13  # bytes; more than a unit, or a run of blocks without new coefficients, can take
_MOST_RUN = 0x7FFF
_MOST_CORRECTIONS = 1000 - 64 + 1  # buffered bits at which libjpeg ends a run
_16 = np.uint64(64 - 16)


@compiled
def read_dc(source, ends, interval, across, down, plan, whole, high, low, counts, coefs, pads):
    """Read a progressive scan of DC coefficients: the first one where `high` is 0, else one that adds a bit."""
    before = np.zeros(4, np.int64)
    start = 0
    for part in range(len(ends)):
        position = start * 8
        start = ends[part]
        before[:] = 0
        for unit in range(part * interval, min((part + 1) * interval, across * down)):
            row, column = unit // across, unit % across
            for number in range(len(plan)):
                block = plan[number, 0] + column * plan[number, 1] + row * plan[number, 2]
                plane, dc = plan[number, 3], plan[number, 4]
                word = ahead_of(source, position)
                if high:
                    if word >> np.uint64(63):
                        coefs[block, 0] |= 1 << low
                    position += 1
                    continue
                code = np.int64(whole[dc, np.int64(word >> _16)])
                if code == 0:
                    return DAMAGED
                counts[dc, code >> 5] += 1
                length, bits = code & 31, (code >> 5) & 15
                if bits:
                    before[plane] += value_of(word, length, bits)
                    if before[plane] < -32768 or before[plane] << low > 32767:
                        return UNUSUAL
                position += length
                coefs[block, 0] = before[plane] << low
            if position > start * 8:
                return DAMAGED
        if not is_padding(source, position, start, pads):
            return UNUSUAL
    return FINE


@compiled
def read_ac(source, ends, interval, across, down, plan, whole, first, last, high, low, counts, coefs, pads):
    """Read a progressive scan of AC coefficients of one plane: a first one, or one that adds a bit (`high` not 0)."""
    table, start = plan[0, 5], 0
    for part in range(len(ends)):
        position, run = start * 8, 0
        start = ends[part]
        for unit in range(part * interval, min((part + 1) * interval, across * down)):
            block = plan[0, 0] + unit % across * plan[0, 1] + unit // across * plan[0, 2]
            place = first
            while run == 0 and place <= last:
                word = ahead_of(source, position)
                code = np.int64(whole[table, np.int64(word >> _16)])
                if code == 0:
                    return DAMAGED
                length, symbol = code & 31, code >> 5
                counts[table, symbol] += 1
                zeros, bits, value = symbol >> 4, symbol & 15, 0
                if bits:
                    value = value_of(word, length, bits) << low
                    if bits > 10 or (high and bits != 1):
                        return DAMAGED
                    position += length
                else:
                    position += length
                    if zeros < 15:
                        run = 1 << zeros
                        if zeros:
                            run += np.int64((word << np.uint64(length)) >> np.uint64(64 - zeros))
                        position += zeros
                        break
                if high:
                    position, place = _over(source, position, coefs, block, place, last, zeros, low)
                else:
                    place += zeros
                if place > last:
                    return DAMAGED
                if bits:
                    coefs[block, NATURAL[place]] = value
                place += 1
            if run:
                if high:
                    position, place = _over(source, position, coefs, block, place, last, 64, low)
                run -= 1
            if position > start * 8:
                return DAMAGED
        if run or not is_padding(source, position, start, pads):
            return UNUSUAL
    return FINE


@compiled
def _over(source, position, coefs, block, place, last, zeros, low):
    """Pass over `zeros` coefficients that are zero, and give a further bit to the others that stand between them."""
    while place <= last:
        value = coefs[block, NATURAL[place]]
        if value != 0:
            if (source[position >> 3] >> (7 - (position & 7))) & 1:
                coefs[block, NATURAL[place]] = value + (1 << low if value > 0 else -(1 << low))
            position += 1
        else:
            if zeros == 0:
                break
            zeros -= 1
        place += 1
    return position, place


@compiled
def _emit(counts, codes, counting, out, word, held, size, symbol, value, bits):
    """A symbol and further bits behind it, or its count where `counting`."""
    if counting:
        counts[symbol] += 1
        return word, held, size
    code = np.int64(codes[symbol])
    return put(out, word, held, size, ((code >> 5) << bits) | value, (code & 31) + bits)


@compiled
def write_dc(coefs, plan, interval, across, down, high, low, counts, codes, counting, pad, out, ends):
    """Write a progressive scan of DC coefficients, or count its symbols. Returns as `write_sequential` does."""
    before = np.zeros(4, np.int64)
    size = 0
    for part in range(len(ends)):
        word, held = np.uint64(0), 0
        before[:] = 0
        for unit in range(part * interval, min((part + 1) * interval, across * down)):
            if size + ROOM > len(out):
                return -1
            for number in range(len(plan)):
                block = plan[number, 0] + unit % across * plan[number, 1] + unit // across * plan[number, 2]
                plane, dc = plan[number, 3], plan[number, 4]
                value = np.int64(coefs[block, 0]) >> low
                if high:
                    if not counting:
                        word, held, size = put(out, word, held, size, value & 1, 1)
                    continue
                change = value - before[plane]
                before[plane] = value
                bits = bits_of(change)
                shown = (change if change >= 0 else change - 1) & ((1 << bits) - 1)
                word, held, size = _emit(counts[dc], codes[dc], counting, out, word, held, size, bits, shown, bits)
        size = finish(out, word, held, size, pad)
        ends[part] = size
    return size


@compiled
def _end_run(counts, codes, counting, out, word, held, size, run, corrections, buffered):
    """Write that the bands of `run` blocks end, and the bits that were buffered for them."""
    if run:
        bits = bits_of(run) - 1
        word, held, size = _emit(
            counts, codes, counting, out, word, held, size, bits << 4, run & ((1 << bits) - 1), bits
        )
        if not counting:
            for one in range(buffered):
                word, held, size = put(out, word, held, size, corrections[one], 1)
    return word, held, size


@compiled
def write_ac_first(coefs, plan, interval, across, down, first, last, low, counts, codes, counting, pad, out, ends):
    """Write a plane's first progressive scan of AC coefficients, or count its symbols."""
    table, size, none = plan[0, 5], 0, np.zeros(0, np.uint8)
    counts, codes = counts[table], codes[table]
    for part in range(len(ends)):
        word, held, run = np.uint64(0), 0, 0
        for unit in range(part * interval, min((part + 1) * interval, across * down)):
            if size + ROOM > len(out):
                return -1
            block = plan[0, 0] + unit % across * plan[0, 1] + unit // across * plan[0, 2]
            zeros = 0
            for place in range(first, last + 1):
                coefficient = np.int64(coefs[block, NATURAL[place]])
                value = abs(coefficient) >> low
                if value == 0:
                    zeros += 1
                    continue
                word, held, size = _end_run(counts, codes, counting, out, word, held, size, run, none, 0)
                run = 0
                while zeros > 15:
                    word, held, size = _emit(counts, codes, counting, out, word, held, size, 0xF0, 0, 0)
                    zeros -= 16
                bits = bits_of(value)
                shown = value if coefficient > 0 else ~value & ((1 << bits) - 1)
                word, held, size = _emit(
                    counts, codes, counting, out, word, held, size, (zeros << 4 | bits) & 255, shown, bits
                )
                zeros = 0
            if zeros:
                run += 1
                if run == _MOST_RUN:
                    word, held, size = _end_run(counts, codes, counting, out, word, held, size, run, none, 0)
                    run = 0
        word, held, size = _end_run(counts, codes, counting, out, word, held, size, run, none, 0)
        size = finish(out, word, held, size, pad)
        ends[part] = size
    return size


@compiled
def write_ac_further(coefs, plan, interval, across, down, first, last, low, counts, codes, counting, pad, out, ends):
    """Write a scan that adds one bit to a plane's AC coefficients, or count its symbols."""
    table, size, corrections = plan[0, 5], 0, np.zeros(2048, np.uint8)
    counts, codes = counts[table], codes[table]
    for part in range(len(ends)):
        word, held, run, buffered = np.uint64(0), 0, 0, 0
        for unit in range(part * interval, min((part + 1) * interval, across * down)):
            if size + ROOM > len(out):
                return -1
            block = plan[0, 0] + unit % across * plan[0, 1] + unit // across * plan[0, 2]
            newest = 0  # the last place that becomes non-zero in this scan
            for place in range(first, last + 1):
                if abs(np.int64(coefs[block, NATURAL[place]])) >> low == 1:
                    newest = place
            # Bits buffered from `start` on are this block's own since its last symbol.
            zeros, start = 0, buffered
            for place in range(first, last + 1):
                coefficient = np.int64(coefs[block, NATURAL[place]])
                value = abs(coefficient) >> low
                if value == 0:
                    zeros += 1
                    continue
                while zeros > 15 and place <= newest:
                    word, held, size = _end_run(counts, codes, counting, out, word, held, size, run, corrections, start)
                    word, held, size = _emit(counts, codes, counting, out, word, held, size, 0xF0, 0, 0)
                    word, held, size = _put_bits(counting, out, word, held, size, corrections, start, buffered)
                    run, start, buffered = 0, 0, 0
                    zeros -= 16
                if value > 1:
                    corrections[buffered] = value & 1
                    buffered += 1
                    continue
                word, held, size = _end_run(counts, codes, counting, out, word, held, size, run, corrections, start)
                sign = 1 if coefficient > 0 else 0
                word, held, size = _emit(counts, codes, counting, out, word, held, size, zeros << 4 | 1, sign, 1)
                word, held, size = _put_bits(counting, out, word, held, size, corrections, start, buffered)
                run, start, buffered, zeros = 0, 0, 0, 0
            if zeros or buffered > start:
                run += 1
                if run == _MOST_RUN or buffered > _MOST_CORRECTIONS:
                    word, held, size = _end_run(
                        counts, codes, counting, out, word, held, size, run, corrections, buffered
                    )
                    run, buffered = 0, 0
        word, held, size = _end_run(counts, codes, counting, out, word, held, size, run, corrections, buffered)
        size = finish(out, word, held, size, pad)
        ends[part] = size
    return size


@compiled
def _put_bits(counting, out, word, held, size, bits, start, stop):
    if not counting:
        for one in range(start, stop):
            word, held, size = put(out, word, held, size, bits[one], 1)
    return word, held, size
