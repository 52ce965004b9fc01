"""Grouping hashes by Hamming distance: exactly, for any number of them, without comparing all pairs.

Multi-index hashing (Norouzi, Punjani, Fleet 2012): of two hashes at most DISTANCE bits apart some band of 16 bits
differs in one bit at most, for otherwise all 16 bands would differ in two. So only pairs that share a band, or all but
one bit of it, are compared in full.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

DISTANCE = 31  # bits of 256: what PDQ's authors propose for "the same picture"
BANDS = 16
_VALUES = 1 << 16  # of a band
_AT_ONCE = 1 << 22  # pairs compared together, some 200 MiB

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
Pairs = tuple[Ints, Ints]


def near_groups(hashes: Words, tick: Callable[[int], None] = lambda band: None, distance: int = DISTANCE) -> Ints:
    """(n,) int64: equal numbers for hashes that a chain of steps of at most `distance` bits connects.

    hashes: (n, 4) uint64. distance: up to DISTANCE, for which the bands are made. tick: told the number of
    the band that comes next; may raise to stop.
    """
    if not len(hashes):
        return np.zeros(0, dtype=np.int64)
    different, where = np.unique(hashes, axis=0, return_inverse=True)
    return joined(len(different), near_pairs(different, tick, distance))[where.reshape(-1)]


def near_pairs(
    hashes: Words, tick: Callable[[int], None] = lambda band: None, distance: int = DISTANCE
) -> Iterator[Pairs]:
    """Positions of all pairs at most `distance` bits apart, in parts; a pair may come more than once."""
    bands = np.ascontiguousarray(hashes).view(np.uint16).reshape(len(hashes), BANDS)
    for band in range(BANDS):
        tick(band)
        order = np.argsort(bands[:, band], kind="stable")
        values = bands[order, band].astype(np.int64)
        starts = np.searchsorted(values, np.arange(_VALUES + 1))
        sorted_hashes = hashes[order]
        for flipped in (0, *(1 << bit for bit in range(16))):
            partner = values ^ flipped
            begin = starts[partner] if flipped else np.arange(1, len(values) + 1)
            stop = np.where(values <= partner, starts[partner + 1], begin)  # every pair from one side alone
            for left, right in _spans(begin, stop):
                near = _within(sorted_hashes, left, right, distance)
                if near.any():
                    yield order[left[near]], order[right[near]]


def joined(count: int, pairs: Iterable[Pairs]) -> Ints:
    """(count,) int64: equal numbers for what pairs connect."""
    # Here, since pages and commands load this module, and SciPy takes longer than they do.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    labels = np.arange(count)
    for one, other in pairs:
        first, second = labels[one], labels[other]
        apart = first != second
        if apart.any():
            edges = (np.ones(int(apart.sum()), dtype=np.int8), (first[apart], second[apart]))
            _, merged = connected_components(coo_array(edges, shape=(count, count)), directed=False)
            labels = merged.astype(np.int64)[labels]
    return labels


def _spans(begin: Ints, stop: Ints) -> Iterator[Pairs]:
    """Every position with all positions from its `begin` up to its `stop`, some _AT_ONCE pairs at a time."""
    sizes = np.maximum(stop - begin, 0)
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + _AT_ONCE, side="right")))
        part = sizes[first:last]
        total = int(part.sum())
        if total:
            left = np.repeat(np.arange(first, last), part)
            within = np.arange(total) - np.repeat(np.cumsum(part) - part, part)
            yield left, np.repeat(begin[first:last], part) + within
        first = last


def _within(hashes: Words, left: Ints, right: Ints, most: int) -> NDArray[np.bool_]:
    """Whether each pair is near. Half of the words rule nearly all others out."""
    distance = np.zeros(len(left), dtype=np.int64)
    for word in (0, 1):
        distance += np.bitwise_count(hashes[left, word] ^ hashes[right, word])
    close = np.flatnonzero(distance <= most)
    for word in (2, 3):
        distance[close] += np.bitwise_count(hashes[left[close], word] ^ hashes[right[close], word])
    near: NDArray[np.bool_] = distance <= most
    return near
