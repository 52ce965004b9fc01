"""Which blocks are kept for a second audit: a public part of those that a key uses, whichever stayed home."""

from __future__ import annotations

import hashlib

import numpy as np

from provenance.marks import ImageBlocks, KeyedChoice, WithheldSettings
from provenance.marks.keyed_choice import choose
from provenance.marks.second_audit import part_of

BEACON = bytes(range(32))
COMMITMENT = hashlib.sha256(b"a commitment").digest()


def blocks_of(images: int, size: int = 4) -> ImageBlocks:
    every = np.arange(images, dtype=np.int32)
    return ImageBlocks(every, (every // size).astype(np.int32))


def chosen(blocks: ImageBlocks, share: float = 0.2, key: bytes = bytes(32)) -> KeyedChoice:
    return choose(key, BEACON, WithheldSettings("ab" * 32, blocks.block_size, share), blocks)


def numbers(blocks: ImageBlocks, choice: KeyedChoice) -> list[int]:
    """Of its blocks, in the key's order."""
    return blocks.block_of[choice.positions[:: blocks.block_size]].tolist()


def test_both_parts_together_are_all_used_blocks_each_with_what_stayed_home():
    blocks = blocks_of(400)
    whole = chosen(blocks)
    used = len(whole)
    assert used == 80
    first, kept = (part_of(whole, blocks, COMMITMENT, BEACON, places) for places in (range(60), range(60, used)))
    assert (len(first), len(kept)) == (60, 20)
    assert sorted(numbers(blocks, first) + numbers(blocks, kept)) == sorted(numbers(blocks, whole))
    at_home = set(whole.positions[whole.home].tolist())
    for part in (first, kept):
        assert set(part.positions[part.home].tolist()) == at_home & set(part.positions.tolist())
        order = numbers(blocks, whole)
        assert [order.index(number) for number in numbers(blocks, part)] == sorted(
            map(order.index, numbers(blocks, part))
        )


def test_a_larger_share_keeps_the_same_blocks_and_more():
    blocks = blocks_of(400)
    whole = chosen(blocks)
    few, many = (
        set(numbers(blocks, part_of(whole, blocks, COMMITMENT, BEACON, range(start, len(whole))))) for start in (70, 50)
    )
    assert few < many


def test_what_is_kept_follows_from_what_is_public_and_not_from_what_stayed_home():
    """With all blocks used, another key keeps the same blocks; another commitment or beacon keeps others."""
    blocks = blocks_of(200)

    def kept(key: bytes, commitment: bytes = COMMITMENT, beacon: bytes = BEACON) -> set[int]:
        whole = chosen(blocks, 0.25, key)
        assert len(whole) == 50
        return set(numbers(blocks, part_of(whole, blocks, commitment, beacon, range(25, 50))))

    one = chosen(blocks, 0.25, bytes(32))
    other = chosen(blocks, 0.25, b"k" * 32)
    assert set(one.positions[one.home].tolist()) != set(other.positions[other.home].tolist())
    assert kept(bytes(32)) == kept(b"k" * 32)
    assert kept(bytes(32)) != kept(bytes(32), commitment=b"c" * 32)
    assert kept(bytes(32)) != kept(bytes(32), beacon=b"b" * 32)
