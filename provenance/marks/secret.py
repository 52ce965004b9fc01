"""What a key decides: patterns, which one marks which group, which images, and where in each.

How all of it derives from key and beacon: docs/method.md, sections 2.2 and 2.5.
"""

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from provenance.errors import TouchmarkError
from provenance.keying import Prf, keyed_permutation, philox
from provenance.marks.copies import REASONS, Pictures
from provenance.marks.groups import EntryLike, Grouping, number_marked
from provenance.marks.registry import family_for
from provenance.marks.settings import MANY_SPARES, MarkSettings

T = TypeVar("T")


class NotEnoughImagesError(TouchmarkError):
    """The dataset has fewer images than were asked for."""


class Candidate(NamedTuple):
    """An image that the key proposes for a group; in a group, candidates come in the key's order."""

    position: int  # in the manifest, from 0
    path: str
    sha256: str
    group: int


@dataclass(frozen=True)
class GroupCandidates:
    """The first `wanted` of `images` are to be marked; the rest step in where a mark does not survive.

    Files that are one picture follow on each other and are marked together. unfit: how many images of the group could
    not be candidates, by reason.
    """

    group: int
    wanted: int
    images: tuple[Candidate, ...]
    unfit: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class MarkSecret:
    """Everything secret about one release's marks. Derive it inside a job, keep it there.

    Attributes:
        settings: the public settings.
        patterns: (G, ...) uint8; (1, ...) for plain marks.
        assignment: (G,) int64, a permutation; pattern j marks the images of settings.groups[assignment[j]].
    """

    settings: MarkSettings
    patterns: np.ndarray = field(repr=False)
    assignment: np.ndarray = field(repr=False)
    _choice: Prf = field(repr=False)
    _place: Prf = field(repr=False)
    _probe: Prf = field(repr=False)
    _clean: Prf = field(repr=False)
    _lots: Prf = field(repr=False)

    @classmethod
    def derive(cls, key: bytes, beacon: bytes, settings: MarkSettings, number: int = 0) -> "MarkSecret":
        """Derive all secrets of one mark set; the same key, beacon, settings and number always give the same ones.

        number: of the mark set, from 0; every set and every use has a purpose of its own (docs/method.md, section 2.2).
        Raises KeyingError for a malformed key or beacon.
        """
        own = f"set-{number + 1}/" if number else ""
        count = max(len(settings.groups), 1)
        family, rng = family_for(settings), philox(key, beacon, f"{own}patterns/{settings.family}")
        patterns = family.balanced_pattern(rng)[None] if settings.is_plain else family.patterns(rng, count)
        purposes = (f"{own}{purpose}" for purpose in ("choice", "placement", "probes", "clean", "lots"))
        assignment = _assignment(philox(key, beacon, f"{own}assignment"), settings)
        return cls(settings, patterns, assignment, *(Prf(key, beacon, purpose) for purpose in purposes))

    @property
    def pattern_of_group(self) -> np.ndarray:
        """(G,) int64: the pattern that marks each group, the inverse of `assignment`."""
        return np.argsort(self.assignment)

    def placement(self, sha256: str) -> tuple[float, float]:
        """Where the mark goes in the image with this content: fractions in [0, 1), down and across."""
        down, across = self._place.fractions(2, sha256)
        return down, across

    def placements(self, sha256s: Iterable[str]) -> np.ndarray:
        """(N, 2) float64 places for several images."""
        return np.array([self.placement(sha256) for sha256 in sha256s], dtype=np.float64).reshape(-1, 2)

    def lot(self, sha256: str) -> int:
        """A number below 2**256 for the image with this content: what the choice among candidates leaves to chance."""
        return int.from_bytes(self._lots.digest(sha256), "big")

    def candidates(
        self,
        entries: Iterable[EntryLike],
        counts: Sequence[int],
        excluded: Collection[int] = frozenset(),
        sets: int = 1,
        pictures: Pictures | None = None,
    ) -> list[GroupCandidates]:
        """The key's images for every group, and its next draws (docs/method.md, section 2.5).

        entries: the manifest, in any order. counts: images per group, as `plan_groups` found them, the excluded ones
        too. excluded: positions of all candidates of the mark sets before this one. sets: how many the release has.
        pictures: which files are one picture; `entries` are then gone through three times.
        """
        grouping, share, spares = self.settings.grouping(), self.settings.share, self.settings.spares
        left = list(counts)
        most = [candidate_limit(count, share, count, sets, spares) for count in counts]
        smallest: list[_Smallest[Candidate]] = [_Smallest(limit) for limit in most]
        unfit = _unfit(entries, self.settings, counts, pictures)
        reasons: list[Counter[str]] = [Counter() for _ in counts]
        for index, entry in enumerate(entries):
            group = grouping.group_of(entry)
            if group < 0:
                continue
            if index in excluded:
                left[group] -= 1
            elif unfit and unfit[index]:
                reasons[group][REASONS[unfit[index]]] += 1
            elif pictures is None or pictures.first[index] == index:
                rank = self._choice.digest(entry.sha256, entry.path)
                smallest[group].offer(rank, Candidate(index, entry.path, entry.sha256, group))
        limits = [candidate_limit(count, share, left[group], sets, spares) for group, count in enumerate(counts)]
        chosen = [_fitting(ranked.in_order(), limit, pictures) for ranked, limit in zip(smallest, limits, strict=True)]
        if pictures is not None and pictures.alike:
            chosen = _with_copies(chosen, entries, pictures)
        return [
            GroupCandidates(group, min(number_marked(count, share), left[group]), tuple(chosen[group]), reasons[group])
            for group, count in enumerate(counts)
        ]

    def probes(self, entries: Iterable[EntryLike], count: int, excluded: Collection[int]) -> list[int]:
        """Positions of `count` probe images, in the key's order, none of them in `excluded`.

        Exclude all candidates (marked or not): then the probes tell nothing about which marks survived.
        Raises NotEnoughImagesError.
        """
        drawn = _Smallest[int](count)
        for index, entry in enumerate(entries):
            if index not in excluded:
                drawn.offer(self._probe.digest(entry.sha256, entry.path), index)
        return _enough(drawn.in_order(), count, "probes")

    def clean_images(
        self, entries: Iterable[EntryLike], probes: int, per_group: int, excluded: Collection[int]
    ) -> tuple[list[int], list[list[int]]]:
        """Positions of an audit's probes and of its group images, which are no probes.

        entries: gone through several times. Where the probes would take the last clean image of a group, every group
        keeps the first of its own. Raises NotEnoughImagesError.
        """
        drawn = self.probes(entries, probes, excluded)
        try:
            return drawn, self.group_images(entries, per_group, {*excluded, *drawn})
        except NotEnoughImagesError:
            kept = {position for group in self.group_images(entries, 1, excluded) for position in group}
            drawn = self.probes(entries, probes, {*excluded, *kept})
            return drawn, self.group_images(entries, per_group, {*excluded, *drawn})

    def group_images(self, entries: Iterable[EntryLike], per_group: int, excluded: Collection[int]) -> list[list[int]]:
        """For every group, positions of up to `per_group` clean images of it in the key's order; none for plain marks.

        Raises NotEnoughImagesError where a group has none.
        """
        if self.settings.is_plain:
            return []
        grouping = self.settings.grouping()
        drawn = [_Smallest[int](per_group) for _ in self.settings.groups]
        for index, entry in enumerate(entries):
            group = grouping.group_of(entry) if index not in excluded else Grouping.NONE
            if group >= 0:
                drawn[group].offer(self._clean.digest(entry.sha256, entry.path), index)
        for name, group_drawn in zip(self.settings.groups, drawn, strict=True):
            if not len(group_drawn):
                raise NotEnoughImagesError(f"The group '{name}' has no unmarked image left to compare with.")
        return [group_drawn.in_order() for group_drawn in drawn]


def _assignment(rng: np.random.Generator, settings: MarkSettings) -> np.ndarray:
    """Uniform among all assignments, or among those that the settings allow."""
    restriction = settings.restriction
    if restriction is None:
        return keyed_permutation(rng, max(len(settings.groups), 1))
    return restriction.draw(1, rng)[0]


def _unfit(
    entries: Iterable[EntryLike], settings: MarkSettings, counts: Sequence[int], pictures: Pictures | None
) -> bytes:
    """Why each image is no candidate, a byte as `Pictures.unfit` has them; nothing where every image may be one."""
    if pictures is None:
        return b""
    grouping, wanted = settings.grouping(), [number_marked(count, settings.share) for count in counts]
    groups = np.fromiter((max(grouping.group_of(entry), Grouping.NONE) for entry in entries), dtype=np.int16)
    return pictures.unfit(groups, wanted).tobytes()


def _fitting(ranked: Iterable[Candidate], limit: int, pictures: Pictures | None) -> list[Candidate]:
    """Pictures in the key's order, each that has room for all its files; one file of each."""
    chosen, files = [], 0
    for candidate in ranked:
        more = len(pictures.files_of(candidate.position)) if pictures else 1
        if files + more <= limit:
            chosen.append(candidate)
            files += more
    return chosen


def _with_copies(
    chosen: Sequence[Sequence[Candidate]], entries: Iterable[EntryLike], pictures: Pictures
) -> list[list[Candidate]]:
    """The same candidates, each followed by those of its exact copies."""
    files = {c.position: pictures.files_of(c.position) for group in chosen for c in group}
    wanted = {position for copies in files.values() for position in copies}
    path_of = {index: entry.path for index, entry in enumerate(entries) if index in wanted}
    return [
        [c._replace(position=position, path=path_of[position]) for c in group for position in files[c.position]]
        for group in chosen
    ]


def candidate_limit(images: int, share: float, left: int, sets: int = 1, spares: str = "") -> int:
    """Marked images and next draws of a group; half of what is not marked always stays for probes.

    Args: images of the group; share of them to mark; left: images of the group that no set before proposes; sets: the
    release's mark sets; spares: as the settings have it.
    """
    wanted = min(number_marked(images, share), left)
    most = 3 * wanted + 64 if spares == MANY_SPARES else wanted // 4 + 16
    return wanted + min(most, (left - wanted) // (2 * sets))


def _enough(found: list[int], count: int, what: str) -> list[int]:
    if len(found) < count:
        raise NotEnoughImagesError(f"Only {len(found)} unmarked images can serve as {what}; {count} were asked for.")
    return found


class _Smallest(Generic[T]):
    """The `limit` items with the smallest ranks, in O(limit) memory."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._heap: list[tuple[int, int, T]] = []  # (-rank, tie-breaker, item); the root has the largest rank

    def __len__(self) -> int:
        return len(self._heap)

    def offer(self, rank: bytes, item: T) -> None:
        entry = (-int.from_bytes(rank, "big"), len(self._heap), item)
        if len(self._heap) < self._limit:
            heapq.heappush(self._heap, entry)
        elif self._heap and entry[0] > self._heap[0][0]:
            heapq.heapreplace(self._heap, entry)

    def in_order(self) -> list[T]:
        return [item for _, _, item in sorted(self._heap, key=lambda entry: -entry[0])]
