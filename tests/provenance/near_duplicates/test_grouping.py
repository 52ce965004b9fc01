"""Groups of hashes by Hamming distance: what comparing all pairs would find, none more and none less."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from provenance.near_duplicates import grouping
from provenance.near_duplicates.grouping import DISTANCE, near_groups, near_pairs


def hashes_around(centres: int, each: int, flips: list[int], seed: int) -> np.ndarray:
    """(n, 4) uint64: random centres, and hashes some bits away from them."""
    rng = np.random.default_rng(seed)
    rows = []
    for centre in rng.integers(0, 2, (centres, 256), dtype=np.uint8):
        for number in range(each):
            row = centre.copy()
            row[rng.permutation(256)[: flips[number % len(flips)]]] ^= 1
            rows.append(row)
    return np.packbits(np.array(rows).reshape(-1, 256), axis=1).view(np.uint64)


def distances(hashes: np.ndarray) -> np.ndarray:
    bits = np.unpackbits(hashes.view(np.uint8), axis=1).astype(np.int64)
    return (bits[:, None, :] != bits[None, :, :]).sum(axis=2)


def by_all_pairs(hashes: np.ndarray) -> list[frozenset[int]]:
    near, left, found = distances(hashes) <= DISTANCE, set(range(len(hashes))), []
    while left:
        group, reached = set(), {min(left)}
        while reached:
            one = reached.pop()
            group.add(one)
            reached |= set(np.flatnonzero(near[one]).tolist()) - group
        found.append(frozenset(group))
        left -= group
    return sorted(found, key=min)


def as_sets(labels: np.ndarray) -> list[frozenset[int]]:
    return sorted((frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)), key=min)


@given(
    centres=st.integers(1, 6),
    each=st.integers(1, 8),
    flips=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    seed=st.integers(0, 2**32 - 1),
)
@budget(max_examples=60)
def test_groups_are_those_of_comparing_all_pairs(centres, each, flips, seed):
    hashes = hashes_around(centres, each, flips, seed)
    assert as_sets(near_groups(hashes)) == by_all_pairs(hashes)


@given(seed=st.integers(0, 2**32 - 1), spread=st.integers(1, 16))
@budget(max_examples=40)
def test_no_pair_at_the_limit_is_missed(seed, spread):
    """31 bits that differ in as many bands as can be, or in a few: the bands must meet in one of them."""
    rng = np.random.default_rng(seed)
    one = rng.integers(0, 2, 256, dtype=np.uint8)
    bands = rng.permutation(16)[:spread]
    places = np.concatenate([band * 16 + rng.permutation(16) for band in bands])
    differing = places.reshape(spread, 16).T.reshape(-1)[:DISTANCE]  # as even as it goes
    other = one.copy()
    other[differing] ^= 1
    hashes = np.packbits(np.stack([one, other]), axis=1).view(np.uint64)
    assert len(set(near_groups(hashes).tolist())) == 1


def test_32_bits_apart_is_apart():
    one = np.zeros(256, dtype=np.uint8)
    other = one.copy()
    other[::8] = 1
    hashes = np.packbits(np.stack([one, other]), axis=1).view(np.uint64)
    assert len(set(near_groups(hashes).tolist())) == 2


def test_pairs_in_many_parts_are_the_same(monkeypatch):
    hashes = hashes_around(12, 12, [0, 5, 20], 3)
    whole = near_groups(hashes)
    monkeypatch.setattr(grouping, "_AT_ONCE", 7)
    assert as_sets(near_groups(hashes)) == as_sets(whole)


def test_every_pair_comes_and_none_that_is_far():
    hashes = np.unique(hashes_around(5, 9, [0, 8, 30], 4), axis=0)
    found = {tuple(sorted(pair)) for one, other in near_pairs(hashes) for pair in zip(one, other, strict=True)}
    near = np.argwhere(np.triu(distances(hashes) <= DISTANCE, 1))
    assert {(int(one), int(other)) for one, other in found} == {tuple(pair) for pair in near.tolist()}


def test_it_can_be_stopped():
    def stop(band: int) -> None:
        if band == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        near_groups(hashes_around(3, 3, [1], 5), stop)


def test_no_hash_makes_no_group():
    assert not len(near_groups(np.zeros((0, 4), dtype=np.uint64)))
