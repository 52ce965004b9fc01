"""Bits of scans, read and written one number after another, compiled."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from provenance.embedding.compiled import compiled

# Where the coefficients of a scan's order stand in a block.
NATURAL = np.array([
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
])  # fmt: skip
_1 = np.uint64(1)


@compiled
def ahead_of(source, position):
    """At least 57 bits from a position on, from the top of 64."""
    at = np.uint64(position >> 3)
    word = (
        (np.uint64(source[at]) << np.uint64(56))
        | (np.uint64(source[at + np.uint64(1)]) << np.uint64(48))
        | (np.uint64(source[at + np.uint64(2)]) << np.uint64(40))
        | (np.uint64(source[at + np.uint64(3)]) << np.uint64(32))
        | (np.uint64(source[at + np.uint64(4)]) << np.uint64(24))
        | (np.uint64(source[at + np.uint64(5)]) << np.uint64(16))
        | (np.uint64(source[at + np.uint64(6)]) << np.uint64(8))
        | np.uint64(source[at + np.uint64(7)])
    )
    return word << np.uint64(position & 7)


@compiled
def value_of(word, length, bits):
    """The signed number in the last `bits` of the first `length` of a word."""
    value = np.int64((word << np.uint64(length - bits)) >> np.uint64(64 - bits))
    return value if value >> (bits - 1) else value - (1 << bits) + 1


@compiled
def is_padding(source, position, end, pads):
    """Whether fewer than eight bits are left of a part, all alike; counts in `pads` of which kind they are."""
    left = end * 8 - position
    if left < 0 or left > 7:
        return False
    for one in range(position, end * 8):
        pads[(source[one >> 3] >> (7 - (one & 7))) & 1] += 1
    return pads[0] == 0 or pads[1] == 0


@intrinsic
def lowest_bit(typing_context, word):
    """The number of the lowest bit that is set."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@intrinsic
def _zeros_above(typing_context, word):
    """How many bits above the highest one that is set are not; 64 for none."""

    def generate(context, builder, signature, arguments):
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@compiled
def bits_of(value):
    """How many bits the size of a number takes."""
    return 64 - _zeros_above(np.uint64(abs(value)))


@compiled
def put(out, word, held, size, value, length):
    """Append up to 32 bits. Of `word` the last `held` bits are not written yet, fewer than 32."""
    word = (word << np.uint64(length)) | np.uint64(value)
    held += length
    if held >= 32:
        held -= 32
        four = word >> np.uint64(held)
        at = np.uint64(size)
        out[at] = np.uint8((four >> np.uint64(24)) & np.uint64(255))
        out[at + np.uint64(1)] = np.uint8((four >> np.uint64(16)) & np.uint64(255))
        out[at + np.uint64(2)] = np.uint8((four >> np.uint64(8)) & np.uint64(255))
        out[at + np.uint64(3)] = np.uint8(four & np.uint64(255))
        size += 4
    return word, held, size


@compiled
def finish(out, word, held, size, pad):
    """Fill the last byte with `pad` bits; everything is written then."""
    spare = -held & 7
    word, held, size = put(out, word, held, size, ((1 << spare) - 1) * pad, spare)
    while held >= 8:
        held -= 8
        out[size] = np.uint8((word >> np.uint64(held)) & np.uint64(255))
        size += 1
    return size


@compiled
def copy_bits(source, position, stop, out, word, held, size):
    """Append the bits from `position` to `stop` of a source."""
    while position < stop:
        length = min(32 - (position & 7), stop - position)
        at, value = position >> 3, np.uint64(0)
        for byte in range(5):
            value = (value << np.uint64(8)) | np.uint64(source[at + byte])
        value = (value >> np.uint64(40 - (position & 7) - length)) & ((_1 << np.uint64(length)) - _1)
        word, held, size = put(out, word, held, size, value, length)
        position += length
    return word, held, size


@compiled
def put_number(out, word, held, size, code, value, bits):
    """Append a symbol's code, and behind it the last bits of a number as the standard has it."""
    low = (value if value >= 0 else value - 1) & ((1 << bits) - 1)
    return put(out, word, held, size, ((code >> 5) << bits) | low, (code & 31) + bits)
