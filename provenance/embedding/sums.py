"""Sums over pixels, of integers alone; import this inside jobs only, for numba takes half a second."""

import numpy as np

from provenance.compiling import compiled


@compiled
def distance(one: np.ndarray, other: np.ndarray) -> np.int64:
    """Of absolute differences of two flat arrays of one unsigned type."""
    total = np.int64(0)
    for i in range(len(one)):
        total += abs(np.int64(one[i]) - np.int64(other[i]))
    return total


@compiled
def squares(one: np.ndarray, other: np.ndarray) -> np.int64:
    """Of squared differences, likewise."""
    total = np.int64(0)
    for i in range(len(one)):
        difference = np.int64(one[i]) - np.int64(other[i])
        total += difference * difference
    return total


@compiled
def agreement(before: np.ndarray, wanted: np.ndarray, found: np.ndarray) -> tuple[np.int64, np.int64]:
    """Of (wanted - before) squared, and times (found - before); three flat arrays of one unsigned type."""
    energy = common = np.int64(0)
    for i in range(len(before)):
        change = np.int64(wanted[i]) - np.int64(before[i])
        energy += change * change
        common += change * (np.int64(found[i]) - np.int64(before[i]))
    return energy, common


@compiled
def compared(
    before: np.ndarray, wanted: np.ndarray, found: np.ndarray
) -> tuple[np.int64, np.int64, np.int64, np.int64]:
    """Of three flat uint8 arrays: `distance` of the first two, `agreement`, and `squares` of the first and the last."""
    total, energy, common, squared = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for start in range(0, len(before), 1 << 14):  # so many squares are below 2^31
        stop = min(start + (1 << 14), len(before))
        one, two, three = before[start:stop], wanted[start:stop], found[start:stop]
        apart = square = product = other = np.int32(0)
        for i in range(stop - start):
            change, left = np.int32(two[i]) - np.int32(one[i]), np.int32(three[i]) - np.int32(one[i])
            change, left = np.int32(change), np.int32(left)
            apart = np.int32(apart + abs(change))
            square = np.int32(square + np.int32(change * change))
            product = np.int32(product + np.int32(change * left))
            other = np.int32(other + np.int32(left * left))
        total, energy, common, squared = total + apart, energy + square, common + product, squared + other
    return total, energy, common, squared
