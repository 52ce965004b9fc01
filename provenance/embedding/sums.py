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
