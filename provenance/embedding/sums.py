"""Sums over pixels, compiled; of integers, so that no order of adding matters."""

import numpy as np

from provenance.embedding.compiled import compiled


@compiled
def energies(source, intended, written):
    """Of three flat arrays: the sums of (intended - source)^2 and of (intended - source) (written - source)."""
    energy = common = np.int64(0)
    for at in range(len(source)):
        wanted = np.int64(intended[at]) - np.int64(source[at])
        energy += wanted * wanted
        common += wanted * (np.int64(written[at]) - np.int64(source[at]))
    return energy, common


@compiled
def squares(first, second):
    """The sum of squared differences of two flat arrays."""
    total = np.int64(0)
    for at in range(len(first)):
        difference = np.int64(first[at]) - np.int64(second[at])
        total += difference * difference
    return total


@compiled
def changes(first, second):
    """The sum of absolute differences of two flat arrays."""
    total = np.int64(0)
    for at in range(len(first)):
        total += abs(np.int64(first[at]) - np.int64(second[at]))
    return total
