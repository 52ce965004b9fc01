"""Which files of a release are looked at: some of the marked, and as many others of the same groups."""

import hashlib
import heapq
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from provenance.errors import TouchmarkError
from provenance.intake.manifest import Manifest
from provenance.marks import MarkSets, family_for
from provenance.marks.cluster_files import grouped_entries
from provenance.marks.overlay import FaintFamily

Stratum = tuple[int, int]  # mark set and group, both from 0
ALL = 0  # the one group of a set without groups


class Chosen(NamedTuple):
    """One file. `small`: too few pixels for every mark of the release."""

    path: str
    marked: bool
    small: bool


def choose_files(
    manifest: Manifest,
    marks: MarkSets,
    listed: Path,
    seed: int,
    most: int,
    told: Callable[[int, int], None],
    at_home: Collection[int] = (),
    in_versions: Collection[int] = (),
) -> list[Chosen]:
    """At most `most` marked files, and from each group as many unmarked ones where there are so many.

    Groups alike: what classes look like must not pass for what the mark does. manifest: the version's. listed: the
    release's marked.jsonl. told: (done, total) entries read; what it raises stops the work. at_home: positions of
    images that are not in the copy. in_versions: of those that are one of two versions, which count as marked.
    """
    strata = _strata(listed) | dict.fromkeys(in_versions, (len(marks.struck), ALL))
    kept = heapq.nsmallest(most, strata, key=lambda position: _rank(seed, position))
    wanted = Counter(strata[position] for position in kept)
    others: dict[Stratum, list[tuple[int, int]]] = {stratum: [] for stratum in wanted}
    for position, own in enumerate(_strata_of_entries(manifest, marks)):
        told(position, len(manifest))
        fitting = [] if position in strata or position in at_home else [stratum for stratum in own if stratum in wanted]
        if fitting:
            rank = _rank(seed, position)
            stratum = fitting[rank % len(fitting)]
            _offer(others[stratum], (-rank, position), wanted[stratum])
    unmarked = [position for heap in others.values() for _, position in heap]
    families = [*map(family_for, marks.struck), *([FaintFamily(marks.versions)] if marks.versions else [])]
    edge = min(family.least_edge for family in families)
    chosen = []
    for position in sorted([*kept, *unmarked]):
        entry = manifest.entry(position)
        chosen.append(Chosen(entry.path, position in strata, min(entry.width, entry.height) < edge))
    return chosen


def _strata(listed: Path) -> dict[int, Stratum]:
    found = {}
    try:
        with listed.open("rb") as lines:
            for line in lines:
                row = json.loads(line)
                found[int(row["position"])] = (int(row.get("set", 1)) - 1, int(row["group"]))
    except OSError as error:
        raise TouchmarkError("The list of the marked files is gone. Put the release back from a backup.") from error
    return found


def _strata_of_entries(manifest: Manifest, marks: MarkSets) -> Iterator[list[Stratum]]:
    """Of every entry in order, the group it has in each mark set; -1 and below where it has none.

    Versions are made of images of all kinds.
    """
    groupings = [mark.grouping() for mark in marks.struck]
    any_kind = [(len(groupings), ALL)] if marks.versions else []
    for entries in zip(manifest, *(grouped_entries(manifest, mark) for mark in marks.struck), strict=True):
        pairs = zip(groupings, entries[1:], strict=True)
        yield [(number, grouping.group_of(entry)) for number, (grouping, entry) in enumerate(pairs)] + any_kind


def _offer(heap: list[tuple[int, int]], item: tuple[int, int], most: int) -> None:
    if len(heap) < most:
        heapq.heappush(heap, item)
    else:
        heapq.heappushpop(heap, item)


def _rank(seed: int, position: int) -> int:
    return int.from_bytes(hashlib.sha256(f"inspection/{seed}/{position}".encode()).digest()[:8], "big")
