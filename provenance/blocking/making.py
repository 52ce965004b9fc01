"""From hashes to units to blocks: whole numbers alone, so that the same images give the same blocks everywhere."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from provenance.blocking.rule import BlockRule
from provenance.marks import ImageBlocks
from provenance.marks.blocking_file import NO_BLOCK
from provenance.near_duplicates.finding import LEAST_QUALITY, alike_groups, chained
from provenance.near_duplicates.grouping import BANDS, joined
from provenance.near_duplicates.hashing import Records

WINDOW = 256  # units among which the nearest ones to the first are looked for
LARGEST_PART = 100  # a unit of more than a hundredth of all images is in no block: too much would hang on one choice
FEW_IMAGES = 8  # a unit of so many may always be in a block
TOLD_EVERY = 4096  # blocks
UNPACKED = 1 << 16  # hashes whose bits are held one by one

Ints = NDArray[np.int64]
Told = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Images:
    """What the rule looks at, of n images in the manifest's order.

    records (n,) RECORD: hashes, empty for all exact copies but the first. first (n,): position of the first with the
    same bytes. group (n,): number of what blocks are made within. size (n,): bytes of its file. named: of every column
    or folder level, (n,) uint64 digests of what people named a unit, 0 for none.
    """

    records: Records
    first: Ints
    group: Ints
    size: Ints
    named: Sequence[NDArray[np.uint64]] = ()
    signs: NDArray[np.uint64] | None = None


def make_blocks(images: Images, rule: BlockRule, told: Told) -> ImageBlocks:
    """Units, then blocks of `rule.block_size` units of one class that look alike.

    told: (done, total, phase); what it raises stops the work.
    """
    unit_of = _units(images, rule, told)
    first_of_unit, count = np.unique(unit_of, return_index=True, return_counts=True)[1:]
    most = max(len(unit_of) // LARGEST_PART, FEW_IMAGES)
    group_of = images.group[first_of_unit]
    block_of_unit = np.full(len(first_of_unit), NO_BLOCK, dtype=np.int32)
    fitting = np.flatnonzero(count <= most)
    made, done = 0, 0
    for units in _split(fitting, group_of[fitting]):
        for block in _blocks(units, first_of_unit[units], images, rule.block_size):
            block_of_unit[block] = made
            made += 1
            if made % TOLD_EVERY == 0:
                told(done, len(fitting), "making blocks")
        done += len(units)
    return ImageBlocks(unit_of.astype(np.int32), block_of_unit[unit_of])


def _units(images: Images, rule: BlockRule, told: Told) -> Ints:
    """(n,) numbers from 0 in the order in which units come."""
    count = len(images.first)
    read = np.flatnonzero((images.first == np.arange(count)) & (images.records["read"] == 1))
    looks = alike_groups(images.records[read], lambda band: told(band, BANDS, "comparing images"), rule.distance)
    pairs = [chained(images.first), chained(looks, read)]
    for digests in images.named:
        named = np.flatnonzero(digests)
        pairs.append(chained(digests[named], named))
    labels = joined(count, pairs)
    _, first, where = np.unique(labels, return_index=True, return_inverse=True)
    numbered: Ints = np.argsort(np.argsort(first))[where.reshape(-1)]
    return numbered


def _split(units: Ints, group_of: Ints) -> Iterator[Ints]:
    """The units of every class, ascending."""
    order = np.argsort(group_of, kind="stable")
    cuts = np.flatnonzero(np.diff(group_of[order])) + 1
    yield from np.split(units[order], cuts)


def _blocks(units: Ints, first: Ints, images: Images, size: int) -> Iterator[Ints]:
    """Blocks of the units of one class; what is left over, fewer than a block, is in none.

    Pictures of which nothing says what they are like get blocks of their own, by the size of their files: flat ones
    look all alike to a hash.
    """
    bits, unlike, order = _likeness(first, images)
    by_size = np.flatnonzero(unlike)[np.argsort(images.size[first[unlike]], kind="stable")]
    for start in range(0, len(by_size) - size + 1, size):
        yield units[by_size[start : start + size]]
    for members in _nearest(bits, order[~unlike[order]], size):
        yield units[members]


def _likeness(first: Ints, images: Images) -> tuple[NDArray[np.uint64], NDArray[np.bool_], Ints]:
    """Of units with these first images: (m, w) bits, of which nothing says what they are like, and a coarse order."""
    unlike: NDArray[np.bool_]
    if images.signs is not None:
        bits = images.signs[first]
        unlike = (bits == 0).all(axis=1)
        return bits, unlike, np.lexsort(bits.T[::-1])
    records = images.records[images.first[first]]
    unlike = (records["read"] == 0) | (records["quality"] < LEAST_QUALITY)
    bits = np.ascontiguousarray(records["bits"])
    return bits, unlike, _in_order(bits)


def _nearest(bits: NDArray[np.uint64], order: Ints, size: int) -> Iterator[Ints]:
    """Positions in bits (m, w), `size` at a time: the first that is left in this order, with those nearest to it of
    the next WINDOW.
    """
    ordered = bits[order]
    left, next_one = np.arange(min(WINDOW, len(order))), min(WINDOW, len(order))
    while len(left) >= size:
        distance = np.bitwise_count(ordered[left[1:]] ^ ordered[left[0]]).sum(axis=1, dtype=np.int64)
        chosen = np.concatenate([[0], 1 + np.argsort(distance, kind="stable")[: size - 1]])
        yield order[left[chosen]]
        more = np.arange(next_one, min(next_one + size, len(order)))
        next_one += len(more)
        left = np.concatenate([np.delete(left, chosen), more])


def _in_order(bits: NDArray[np.uint64]) -> Ints:
    """(m,) positions sorted by the hashes' bits, those of the lowest frequencies first: coarse likeness."""
    down, across = np.indices((16, 16))
    lowest = np.argsort((down + across).ravel(), kind="stable")[:64]  # more than tell a million apart
    words = np.empty(len(bits), dtype=">u8")
    for start in range(0, len(bits), UNPACKED):
        part = np.unpackbits(np.ascontiguousarray(bits[start : start + UNPACKED]).view(np.uint8), axis=1)
        packed = np.ascontiguousarray(np.packbits(part[:, lowest], axis=1))
        words[start : start + UNPACKED] = packed.view(">u8").reshape(-1)
    return np.argsort(words, kind="stable").astype(np.int64)
