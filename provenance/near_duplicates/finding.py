"""Finding the near-duplicates of a version: hashes in stored blocks, then groups. A killed run resumes at its block."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from provenance.intake.manifest import Manifest
from provenance.marks.copies import NO_NEAR_DUPLICATE, first_copies
from provenance.near_duplicates.grouping import BANDS, DISTANCE, Ints, Pairs, joined, near_groups
from provenance.near_duplicates.hashing import RECORD, Records, hashed
from provenance.whole_files import write_whole

HASHES = "hashes.npy"  # beside the work folder
BLOCK = 500  # files; a kill loses at most one block of each thread
LEAST_QUALITY = 50  # below it PDQ's authors throw a hash away: flat images look all alike

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Found:
    """group_of: (n,) int32 by position in the manifest, the number of an image's group of near-duplicates, or
    NO_NEAR_DUPLICATE. flat: pictures without enough in them to be compared. unread: files that could not be decoded.
    """

    group_of: NDArray[np.int32]
    flat: int
    unread: int

    @property
    def images(self) -> int:
        return int((self.group_of != NO_NEAR_DUPLICATE).sum())

    @property
    def groups(self) -> int:
        return int(self.group_of.max(initial=NO_NEAR_DUPLICATE)) + 1


def find_near_duplicates(manifest: Manifest, files: Path, work: Path, progress: Progress, workers: int) -> Found:
    """Compare all pictures of a version; files with the same bytes are one picture.

    files: the version's. work: folder for stored blocks. progress: told (done, total, phase); what it raises stops the
    work. workers: child processes at a time.
    """
    first = first_copies(manifest)
    records = hashes(manifest, files, first, work.with_name(HASHES), work, progress, workers)
    own = first == np.arange(len(first))
    read = np.flatnonzero(own & (records["read"] == 1))
    labels = alike_groups(records[read], lambda band: progress(band, BANDS, "comparing images"))
    alike = np.bincount(labels, minlength=1)[labels] > 1
    group_of = np.full(len(first), NO_NEAR_DUPLICATE, dtype=np.int32)
    group_of[read[alike]] = _numbered(labels[alike])
    flat = int((records["quality"][read] < LEAST_QUALITY).sum())
    return Found(group_of[first], flat, int((own & (records["read"] == 0)).sum()))


def alike_groups(records: Records, tick: Callable[[int], None], distance: int = DISTANCE) -> Ints:
    """(n,) equal numbers for pictures that look alike; those of low quality where their pixels are the same.

    distance: bits of 256 that two hashes may differ in, up to DISTANCE.
    """
    if not len(records):
        return np.zeros(0, dtype=np.int64)
    _, same_pixels = np.unique(records["pixels"], axis=0, return_inverse=True)
    good = np.flatnonzero(records["quality"] >= LEAST_QUALITY)
    looks = near_groups(np.ascontiguousarray(records["bits"][good]), tick, distance)
    return joined(len(records), [chained(same_pixels.reshape(-1)), chained(looks, good)])


def chained(labels: NDArray[Any], positions: Ints | None = None) -> Pairs:
    """Pairs that connect all members of every group, one after the other. positions: of what `labels` speak."""
    order = np.argsort(labels, kind="stable")
    follows = labels[order][1:] == labels[order][:-1]
    order = order if positions is None else positions[order]
    return order[:-1][follows], order[1:][follows]


def _numbered(labels: Ints) -> Ints:
    """The same groups, numbered from 0 in the order in which they come."""
    _, first, where = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[where]


def hashes(
    manifest: Manifest, files: Path, first: Ints, kept: Path, work: Path, progress: Progress, workers: int
) -> Records:
    """(n,) RECORD; those of exact copies stay empty but for the first.

    first (n,): `first_copies`. kept: where they lie once all are there, for whoever asks next. work: see
    `find_near_duplicates`.
    """
    if kept.exists():
        found: Records = np.load(kept)
        if found.shape == first.shape and found.dtype == RECORD:
            return found
    blocks = -(-len(first) // BLOCK)
    progress(0, len(first), "looking at images")
    with ThreadPoolExecutor(workers, thread_name_prefix="hash") as pool:
        for numbers in _some(blocks, workers):
            list(pool.map(partial(_hash_block, manifest, files, first, work), numbers))
            progress(min(numbers.stop * BLOCK, len(first)), len(first), "looking at images")
    records = np.concatenate([np.load(_block_path(work, number)) for number in range(blocks)])
    _store(kept, records)
    return records


def _hash_block(manifest: Manifest, files: Path, first: Ints, work: Path, number: int) -> None:
    stored = _block_path(work, number)
    if stored.exists():
        return
    start = number * BLOCK
    entries = manifest.page(start, BLOCK)
    records = np.zeros(len(entries), dtype=RECORD)
    wanted = np.flatnonzero(first[start : start + len(entries)] == np.arange(start, start + len(entries)))
    records[wanted] = hashed([files / entries[index].path for index in wanted.tolist()])
    _store(stored, records)


def _store(path: Path, records: Records) -> None:
    def fill(part: Path) -> None:
        with part.open("wb") as file:  # np.save adds its own ending to a name
            np.save(file, records, allow_pickle=False)

    write_whole(path, fill)


def _block_path(work: Path, number: int) -> Path:
    return work / f"{number:08d}.npy"


def _some(count: int, at_once: int) -> Iterator[range]:
    for start in range(0, count, at_once):
        yield range(start, min(start + at_once, count))
