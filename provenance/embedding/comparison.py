"""Which part of its group's files a marked file would belong to, learnt from marks for trial and from unmarked files.

Features of both are learnt by cross-fitted trees; of few marks or large pictures, size per pixel is the score alone.
"""

import heapq
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np

from provenance.embedding.places import FREE, Kind, Parts, Room, given_out, rates
from provenance.embedding.propensity import FOLDS, CrossFitted, Row, whole
from provenance.embedding.trying import Tried, Trier, in_turn
from provenance.intake.manifest import Entry, Manifest
from provenance.marks import Candidate, MarkSecret
from provenance.marks.cluster_files import grouped_entries
from provenance.marks.secret import GroupCandidates

FeaturesOf = Callable[[bytes], Row]

ENOUGH = 200  # unmarked files to compare with; what fewer show is chance, and any file may be marked
LEARNT_FROM = 100  # marked files for trial, and as many others; from fewer, trees learn nothing
TRIED = 2000  # candidates for trial, the key's first, so that no image is marked for trial alone
TRIED_PER_MARK = 1.8  # about as many as are looked at anyhow
TRIED_FOR_SIZES = 200  # large pictures may be among them, which wait on disk for their turn
OTHERS = 1600  # unmarked files looked at that the set does not propose
OTHERS_PER_MARK = 1.5  # besides candidates as they are without their marks
LARGEST = 1 << 20  # pixels of a picture on average; of larger ones features cost more than the mark
DRAWS = 3.0  # candidates for every image to be marked that places may ask for
_KEPT_BACK = 0.9  # of the candidates there are; the last ones make good what chance does

SIZE = "bytes per pixel"


class _File(NamedTuple):
    """An unmarked file's kind, what decides its fold, and what is measured of it."""

    kind: Kind
    lot: int
    row: Row


@dataclass(frozen=True)
class Spread:
    """How the marks of a set are spread over parts of the files. Without `trees`, sizes are the score."""

    parts: Parts
    trees: CrossFitted | None
    of_group: Sequence[np.ndarray]  # (len(parts),) each: what a part gets of every mark
    form_of: Callable[[int], str]
    lot_of: Callable[[str], int]

    def part_of(self, tried: Tried) -> int:
        """Where the file of a candidate belongs that can bear its mark; FREE for any other."""
        outcome = tried.outcome
        if tried.row is None or not len(self.parts):
            return FREE
        lot = self.lot_of(outcome.old_sha256)
        score = scored(self.trees, tried.row, lot)
        return self.parts.part_of(outcome.group, self.form_of(outcome.position), score, lot >> 8 & 0xFFFFFFFF)

    def room(self) -> Room:
        """Without any place yet."""
        return Room(len(self.parts))

    def places(self, group: int, wanted: int) -> np.ndarray:
        """(len(parts),) how many of a group's marks each part gets, in parts of a mark."""
        return np.asarray(wanted * self.of_group[group])


def scored(trees: CrossFitted | None, row: Row, lot: int) -> int:
    """How much a file looks like a marked one."""
    return whole(float(row[SIZE])) if trees is None else int(trees.ranks([row], lot % FOLDS)[0])


class Comparison:
    """Unmarked files of one mark set's groups, drawn by its key among those that it does not propose.

    Args: candidates: of every group. in_choice: positions of images that may stay home. drops_claims: as `Trier` has
    it. features: of a file as it lies in a copy.
    """

    def __init__(
        self,
        manifest: Manifest,
        secret: MarkSecret,
        candidates: Sequence[GroupCandidates],
        in_choice: Collection[int],
        features: FeaturesOf,
        *,
        drops_claims: bool,
    ) -> None:
        self._manifest, self._secret, self._features = manifest, secret, features
        self._groups, self._drops_claims = candidates, drops_claims
        self._wanted = sum(group.wanted for group in candidates)
        self._formats, self._drawn, pixels = self._draw(
            {c.position for group in candidates for c in group.images}.union(in_choice)
        )
        self._learns = self._wanted >= LEARNT_FROM and pixels <= LARGEST

    def seen(self, position: int, data: bytes) -> Row:
        """What is measured of a file at this position of the manifest."""
        entry = self._manifest.entry(position)
        size = {SIZE: len(data) / (entry.width * entry.height)}
        return {**size, **self._features(data)} if self._learns else size

    def spread(self, pool: ThreadPoolExecutor, trier: Trier, ahead: int, told: Callable[[], None]) -> Spread:
        """Mark for trial, look at unmarked files, and learn. told: called after each file; may raise to stop."""
        unmarked, tried = [], []
        if sum(map(len, self._drawn)) >= ENOUGH:
            for _, other in in_turn(pool, lambda one: self._unmarked(trier, *one), self._others(), ahead):
                told()
                unmarked.append(other)
            for _, (one, before) in in_turn(pool, lambda one: self._rehearsed(trier, one), self._trial(), ahead):
                told()
                tried.append(one)
                unmarked += [before] if self._is_large_enough(self._manifest.entry(one.outcome.position)) else []
        marked = [one for one in tried if one.row is not None]
        trees = None
        if self._learns and min(len(marked), len(unmarked)) >= LEARNT_FROM:
            trees = self._trees(marked, unmarked)
        scores: dict[Kind, list[int]] = {}
        for kind, lot, row in unmarked:
            for own in (kind, (-1, kind[1])):
                scores.setdefault(own, []).append(scored(trees, row, lot))
        return self._reached(Parts(scores), trees, tried)

    def _reached(self, parts: Parts, trees: CrossFitted | None, tried: Sequence[Tried]) -> Spread:
        """Groups differ by their patterns, so each is given what its own candidates can fill."""
        shares = [parts.shares(own) for own in self._formats]
        even = Spread(parts, trees, shares, self._form_of, self._lot_of)
        found = [(one.outcome.group, even.part_of(one)) for one in tried]
        weights = [group.wanted / max(self._wanted, 1) for group in self._groups]
        whole_set = rates([part for _, part in found], np.asarray(np.dot(weights, np.array(shares))))
        most = []
        for group in self._groups:
            draws = min(DRAWS, _KEPT_BACK * len(group.images) / max(group.wanted, 1))
            most.append(draws * rates([part for number, part in found if number == group.group], whole_set))
        reached = given_out(np.array(shares), np.array(most), [group.wanted for group in self._groups])
        return Spread(parts, trees, list(reached), self._form_of, self._lot_of)

    def _trees(self, marked: Sequence[Tried], unmarked: Sequence[_File]) -> CrossFitted:
        rows = [*(one.row for one in marked if one.row is not None), *(other.row for other in unmarked)]
        lots = [*(self._lot_of(one.outcome.old_sha256) for one in marked), *(other.lot for other in unmarked)]
        truth = [True] * len(marked) + [False] * len(unmarked)
        return CrossFitted.learnt(rows, truth, [lot % FOLDS for lot in lots])

    def _trial(self) -> list[Candidate]:
        """The first candidates of every group, one file of each picture."""
        found: list[Candidate] = []
        per_mark, tried = (TRIED_PER_MARK, TRIED) if self._learns else (1.0, TRIED_FOR_SIZES)
        for group in self._groups:
            most = math.ceil(min(per_mark * group.wanted, tried * group.wanted / max(self._wanted, 1)))
            first = (next(alike) for _, alike in groupby(group.images[:most], lambda image: image.sha256))
            found += first
        return found

    def _rehearsed(self, trier: Trier, candidate: Candidate) -> tuple[Tried, _File]:
        """With its mark and without."""
        return trier.rehearse(candidate, self.seen), self._unmarked(trier, candidate.group, candidate.position)

    def _unmarked(self, trier: Trier, group: int, position: int) -> _File:
        entry = self._manifest.entry(position)
        if self._learns or self._drops_claims:
            row = self.seen(position, trier.source(position))
        else:
            row = {SIZE: entry.size / (entry.width * entry.height)}
        return _File((group, entry.format), self._lot_of(entry.sha256), row)

    def _others(self) -> Iterator[tuple[int, int]]:
        """Group and position of unmarked files that are looked at."""
        for group, (own, drawn) in enumerate(zip(self._groups, self._drawn, strict=True)):
            most = math.ceil(OTHERS * own.wanted / max(self._wanted, 1))
            most = min(most, math.ceil(OTHERS_PER_MARK * own.wanted)) if self._learns else most
            yield from ((group, position) for position in drawn[:most])

    def _draw(self, excluded: Collection[int]) -> tuple[list[dict[str, float]], list[list[int]], float]:
        """Of every group: its formats' shares, and positions in the key's order; pixels of an image on average."""
        grouping = self._secret.settings.grouping()
        most = [math.ceil(OTHERS * group.wanted / max(self._wanted, 1)) for group in self._groups]
        counts: list[Counter[str]] = [Counter() for _ in most]
        heaps: list[list[tuple[int, int]]] = [[] for _ in most]
        pixels = 0
        entries = zip(self._manifest, grouped_entries(self._manifest, self._secret.settings), strict=True)
        for position, (entry, grouped) in enumerate(entries):
            group = grouping.group_of(grouped)
            if group < 0 or not self._is_large_enough(entry):
                continue
            counts[group][entry.format] += 1
            pixels += entry.width * entry.height
            if position not in excluded:
                _offer(heaps[group], (-self._lot_of(entry.sha256), -position), most[group])
        shares = [{form: own / count.total() for form, own in count.items()} for count in counts]
        drawn = [[-position for _, position in sorted(heap, reverse=True)] for heap in heaps]
        return shares, drawn, pixels / max(sum(count.total() for count in counts), 1)

    def _is_large_enough(self, entry: Entry) -> bool:
        """Any other is known to anybody as unmarked, and nothing is compared with it."""
        return min(entry.width, entry.height) >= self._secret.settings.least_edge

    def _form_of(self, position: int) -> str:
        return self._manifest.entry(position).format

    def _lot_of(self, sha256: str) -> int:
        return self._secret.lot(sha256)


def _offer(heap: list[tuple[int, int]], item: tuple[int, int], most: int) -> None:
    """Keep the largest items; those are the smallest lots."""
    if len(heap) < most:
        heapq.heappush(heap, item)
    elif most:
        heapq.heappushpop(heap, item)
