"""Which images of a version a pilot learns from, which it keeps apart, and what it marks or withholds among them.

Torch-free. Positions are those in the version's manifest, from 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audits.pilots.pilot.settings import FEWEST_IMAGES, PilotError, PilotSettings
from provenance.canonical import canonical_json
from provenance.keying import keyed_permutation
from provenance.marks import ImageBlocks, MarkSettings, WithheldSettings
from provenance.marks.blocking_file import NO_BLOCK
from provenance.marks.cluster_files import ClusteredEntry
from provenance.marks.groups import EntryLike, Grouping, number_marked
from provenance.wording import count

MOST_KEPT_APART = 1000
MOST_MARKED = 0.5  # of the images of a group in a pilot: the rest is what an audit asks about

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Chosen:
    """Positions, ascending: learnt (n,) is what unmarked twins learn from, apart (k,) what nobody does.

    blocks: of the n images, where something is to stay home: whole ones of the version alone.
    """

    learnt: Ints
    apart: Ints
    blocks: ImageBlocks | None


@dataclass(frozen=True)
class Others:
    """Images (m, S, S, 3) uint8 of another version in a keyed order, with captions where all have some."""

    images: NDArray[np.uint8] = field(repr=False)
    captions: tuple[str, ...] | None = field(repr=False)

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Pool:
    """The n images of a pilot in memory, and where their files are.

    images (n, S, S, 3) uint8; labels (n,) int64 and captions, where all have some; apart (k, S, S, 3) uint8 with labels
    (k,): what no model learns from. counts: of every group in the version, by proposal; of: images of the
    version. others: what may be mixed in. clusters: each image's cluster, by their file's digest.
    """

    entries: tuple[EntryLike, ...] = field(repr=False)
    images: NDArray[np.uint8] = field(repr=False)
    labels: Ints | None = field(repr=False)
    captions: tuple[str, ...] | None = field(repr=False)
    apart: NDArray[np.uint8] = field(repr=False)
    apart_labels: Ints | None = field(repr=False)
    files: Path
    blocks: ImageBlocks | None = field(repr=False)
    counts: tuple[tuple[int, ...], ...]
    of: int
    others: Others | None = None
    clusters: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.images)

    def grouped(self, settings: MarkSettings) -> Sequence[EntryLike]:
        """The entries as these settings group them: with their clusters as labels where those are the groups."""
        if settings.is_plain or settings.group_by != "cluster":
            return self.entries
        names = self.clusters[settings.clusters]
        pairs = zip(self.entries, names, strict=True)
        return [ClusteredEntry(entry.path, entry.sha256, name, entry.caption) for entry, name in pairs]

    @property
    def digest(self) -> str:
        """SHA-256 over the content digests of the n images, in order."""
        return hashlib.sha256(canonical_json([entry.sha256 for entry in self.entries])).hexdigest()


def keyed_order(images: int, seed: bytes) -> Ints:
    """The numbers below `images`, in an order that follows from 32 bytes."""
    return keyed_permutation(np.random.Generator(np.random.Philox(key=int.from_bytes(seed[:16], "big"))), images)


def kept_apart(images: int) -> int:
    """How many of a version's images no model learns from."""
    return min(MOST_KEPT_APART, images // 5)


def room_for(images: int, most: int) -> int:
    """How many of a version's images an unmarked twin learns from."""
    return min(most, images - kept_apart(images))


def check_count(settings: PilotSettings, learnt: int, others: int) -> None:
    """Raises PilotError where there are too few other images for what is to be mixed in among those that are learnt."""
    for one in settings.varied:
        if one.others(learnt) > others:
            raise PilotError(
                f"{one.title[0].upper()}{one.title[1:]} takes {count(one.others(learnt))} of them and the other "
                f"version has {count(others)}; mix in fewer, or let the pilot learn from fewer images."
            )


def choose(
    images: int, most: int, seed: bytes, blocks: ImageBlocks | None = None, withheld: Sequence[WithheldSettings] = ()
) -> Chosen:
    """What a pilot looks at of a version: first as many whole blocks as the release would use, then other images.

    images: of the version. most: that a training learns from. seed: 32 bytes. Raises PilotError.
    """
    apart, room = kept_apart(images), room_for(images, most)
    if images < FEWEST_IMAGES:
        raise PilotError(f"This version has too few images for a pilot: it takes {FEWEST_IMAGES} or more.")
    order = keyed_order(images, seed)
    taken, of_blocks = np.zeros(images, dtype=np.bool_), np.full(images, NO_BLOCK, dtype=np.int64)
    if blocks is not None and withheld:
        _take_blocks(taken, of_blocks, order, blocks, withheld, room)
    rest = order[~taken[order]]
    alone, more = rest[:apart], rest[apart : apart + room - int(taken.sum())]
    taken[more] = True
    learnt = np.flatnonzero(taken).astype(np.int64)
    return Chosen(learnt, np.sort(alone), _renumbered(blocks, of_blocks, learnt) if blocks is not None else None)


def _take_blocks(
    taken: NDArray[np.bool_],
    of_blocks: Ints,
    order: Ints,
    blocks: ImageBlocks,
    withheld: Sequence[WithheldSettings],
    room: int,
) -> None:
    """Marks the images of so many blocks, in the keyed order of their first images, as taken."""
    if any(one.block_size != blocks.block_size for one in withheld):
        raise PilotError(f"The blocks have {blocks.block_size} alternatives; what stays home names another number.")
    wanted = max(one.blocks_used(len(blocks), blocks.alternatives.size, blocks.files) for one in withheld)
    inside = blocks.block_of != NO_BLOCK
    sizes = np.bincount(blocks.block_of[inside], minlength=blocks.blocks)
    first = np.argsort(order)[blocks.first_of_unit[blocks.alternatives[:, 0]]]
    drawn = np.argsort(first)[:wanted]
    drawn = drawn[np.cumsum(sizes[drawn]) <= room]
    if not len(drawn):
        raise PilotError("Not one block of images that are alike fits into this pilot; let it learn from more images.")
    number = np.full(blocks.blocks, NO_BLOCK, dtype=np.int64)
    number[drawn] = np.arange(len(drawn))
    of_blocks[inside] = number[blocks.block_of[inside]]
    taken |= of_blocks != NO_BLOCK


def _renumbered(blocks: ImageBlocks, of_blocks: Ints, learnt: Ints) -> ImageBlocks | None:
    """The chosen blocks among the n images; a unit that lies in none of them may have lost some of its images."""
    if not (of_blocks[learnt] != NO_BLOCK).any():
        return None
    _, first, inverse = np.unique(blocks.unit_of[learnt], return_index=True, return_inverse=True)
    number = np.argsort(np.argsort(first))[inverse]
    return ImageBlocks(number.astype(np.int32), of_blocks[learnt].astype(np.int32))


@dataclass(frozen=True)
class Scaled:
    """Settings for the n images of a pilot that mark or withhold as many as the release would of the whole version.

    wanted: images of the release; there: of the pilot, fewer where they do not fit.
    """

    settings: MarkSettings | WithheldSettings
    wanted: int
    there: int

    @property
    def fits(self) -> bool:
        return self.there >= 0.95 * self.wanted


def struck_in(pool: Pool, settings: MarkSettings, counts: Sequence[int]) -> Scaled:
    """counts: images of every group in the whole version."""
    here = counts_of(pool.grouped(settings), settings)
    if min(here) < 4 and settings.is_plain:
        raise PilotError("This pilot has too few images for marks; let it learn from more.")
    if min(here) < 4:
        name = settings.groups[int(np.argmin(here))]
        raise PilotError(
            f"The group “{name}” has too few images in this pilot; let it learn from more, or leave it out."
        )
    wanted = sum(number_marked(count, settings.share) for count in counts)
    share = min(MOST_MARKED, wanted / sum(here))
    while share < MOST_MARKED and _marked(here, share) < wanted:  # numbers of groups are rounded down
        share = min(MOST_MARKED, 1.01 * share)
    scaled = settings.replace(share=share, spares="many", copies="", near_duplicates="", size_classes=(), forbidden=())
    return Scaled(scaled, wanted, _marked(here, share))


def _marked(counts: Sequence[int], share: float) -> int:
    return sum(number_marked(count, share) for count in counts)


def withheld_in(pool: Pool, settings: WithheldSettings, whole: ImageBlocks) -> Scaled:
    """whole: the blocks of the whole version."""
    if pool.blocks is None:
        raise PilotError("This pilot has no blocks of images that are alike, so nothing could stay home.")
    wanted = settings.blocks_used(len(whole), whole.alternatives.size, whole.files)
    there = min(wanted, pool.blocks.blocks)
    # As many blocks, whatever number of images is around them; a little more, so that rounding down loses none.
    share = (there + 0.5) * pool.blocks.files / (pool.blocks.alternatives.size * len(pool))
    scaled = WithheldSettings(settings.blocking, settings.block_size, min(share, 1 / settings.block_size))
    return Scaled(scaled, wanted, scaled.blocks_used(len(pool), pool.blocks.alternatives.size, pool.blocks.files))


def counts_of(entries: Sequence[EntryLike], settings: MarkSettings) -> tuple[int, ...]:
    """Images of every group among these; plain marks have one group, of all images."""
    grouping = settings.grouping()
    found = [0] * max(1, len(settings.groups))
    for entry in entries:
        if (group := grouping.group_of(entry)) > Grouping.NONE:
            found[group] += 1
    return tuple(found)
