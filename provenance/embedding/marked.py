"""Marking the key's images in blocks whose results are stored, so that a killed job resumes where it was."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Protocol

from provenance.canonical import canonical_json
from provenance.embedding.comparison import Spread
from provenance.embedding.errors import EmbeddingError
from provenance.embedding.places import FREE, UNUSUAL, Room, in_order_of_places
from provenance.embedding.placing import Expected, SourceTree, put_in_place, safe_target
from provenance.embedding.propensity import Row
from provenance.embedding.trying import Outcome, Tried, Trier, in_turn
from provenance.marks import Candidate
from provenance.marks.secret import GroupCandidates
from provenance.whole_files import write_whole

BLOCK = 64  # images; a kill loses at most one block


@dataclass(frozen=True)
class _Looked:
    """What became of a candidate, and the part of its group's files that its marked file would belong to."""

    outcome: Outcome
    part: int


class Compares(Protocol):
    """What decides which marked files look like others; see `Comparison`."""

    def seen(self, position: int, data: bytes) -> Row: ...

    def spread(self, pool: ThreadPoolExecutor, trier: Trier, ahead: int, told: Callable[[], None]) -> Spread: ...


class Marker:
    """Marks candidates of a release, group by group, until each group has what it wants or has no candidate left.

    Args: trier: marks one. comparison: with the files that stay unmarked. tree: the version's files. files: the
    release's. work: folder for stored blocks. expected_of: what the manifest says of a position. alike: exact copies
    are marked alike. workers: threads. told: called often before the first block; may raise to stop.
    """

    def __init__(
        self,
        trier: Trier,
        comparison: Compares,
        tree: SourceTree,
        files: Path,
        work: Path,
        expected_of: Callable[[int], Expected],
        *,
        alike: bool,
        workers: int,
        told: Callable[[], None],
    ) -> None:
        self._trier, self._comparison = trier, comparison
        self._tree, self._files, self._work = tree, files, work
        self._expected_of = expected_of
        self._alike, self._workers = alike, workers
        self._told = told

    def mark(self, groups: list[GroupCandidates]) -> Iterator[list[Outcome]]:
        """Yield the outcomes block by block; blocks that an earlier run finished come from their files.

        Which images are in a block follows from the outcomes of the blocks before, so every run sees the same blocks.
        """
        self._work.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(self._workers, thread_name_prefix="mark") as pool:
            spread = self._comparison.spread(pool, self._trier, 2 * self._workers, self._told)
            room = spread.room()
            for group in groups:
                room.widen(spread.places(group.group, group.wanted))
                marked = tried = number = 0
                passed: list[_Looked] = []
                while marked < group.wanted and tried < len(group.images):
                    if len(passed) >= group.wanted - marked and room.is_full:
                        break
                    stop = self._end(group.images, tried + min(BLOCK, group.wanted - marked))
                    found = self._block(pool, number, group.images[tried:stop], spread, room)
                    marked += sum(one.outcome.is_marked for one in found)
                    tried, number = stop, number + 1
                    passed += [one for one in found if one.outcome.reason == UNUSUAL]
                    yield [one.outcome for one in found if one.outcome.reason != UNUSUAL]
                missing = group.wanted - marked
                ordered = self._ordered(spread, group.group, passed, missing)
                yield from self._last_resort(pool, number, ordered, missing)

    def _ordered(self, spread: Spread, group: int, passed: list[_Looked], missing: int) -> list[Outcome]:
        """First those that have places among as many as are missing: files that carry no mark left theirs empty."""

        def room_for(wanted: int) -> Room:
            return spread.room().widen(spread.places(group, wanted))

        pictures = [list(alike) for _, alike in groupby(passed, lambda one: self._picture_of(one.outcome))]
        return [one.outcome for one in in_order_of_places(room_for, pictures, missing)]

    def _last_resort(
        self, pool: ThreadPoolExecutor, number: int, passed: list[Outcome], missing: int
    ) -> Iterator[list[Outcome]]:
        """Those of which there are enough are marked, in order, only where no other image of their group is left."""
        images = tuple(Candidate(one.position, one.path, one.old_sha256, one.group) for one in passed)
        start = 0
        while start < min(missing, len(images)):
            stop = self._end(images, min(start + BLOCK, missing))
            yield [one.outcome for one in self._block(pool, number, images[start:stop], None, None)]
            start, number = stop, number + 1
        yield [replace(outcome, size=0) for outcome in passed[start:]]

    def _end(self, images: tuple[Candidate, ...], stop: int) -> int:
        """Where a block ends that would end at `stop`: behind the last file of the picture it ends with."""
        if not self._alike:
            return min(stop, len(images))
        while stop < len(images) and images[stop].sha256 == images[stop - 1].sha256:
            stop += 1
        return min(stop, len(images))

    def _block(
        self,
        pool: ThreadPoolExecutor,
        number: int,
        candidates: tuple[Candidate, ...],
        spread: Spread | None,
        room: Room | None,
    ) -> list[_Looked]:
        """Mark some images in order. spread and room: without them, any file will do."""
        stored = self._work / f"{candidates[0].group:03d}-{number:06d}.json"
        if not stored.exists():
            found = self._new_block(pool, candidates, spread, room)
            record = canonical_json([asdict(one.outcome) | {"part": one.part} for one in found])
            write_whole(stored, lambda draft: draft.write_bytes(record))
            return found
        rows = json.loads(stored.read_bytes())
        found = [_Looked(part=row.pop("part", FREE), outcome=Outcome(**row)) for row in rows]
        for one in found:
            if room and one.outcome.is_marked:
                room.take(one.part)
        return found

    def _new_block(
        self, pool: ThreadPoolExecutor, candidates: tuple[Candidate, ...], spread: Spread | None, room: Room | None
    ) -> list[_Looked]:
        found: list[_Looked] = []
        pictures = [list(alike) for _, alike in groupby(candidates, self._picture_of)]
        seen = self._comparison.seen if spread else None

        def attempt(files: list[Candidate]) -> tuple[Tried, int]:
            tried = self._trier.attempt(files[0], seen)
            return tried, spread.part_of(tried) if spread else FREE

        for files, (tried, part) in in_turn(pool, attempt, pictures, 2 * self._workers):
            outcome = tried.outcome
            if room and outcome.is_marked and not room.has_place(part, len(files)):
                outcome = replace(self._trier.untouched(files[0]), size=outcome.size, reason=UNUSUAL)
            if outcome.is_marked:
                self._place(files, tried.data)
                if room:
                    room.take(part, len(files))
            found += [_Looked(replace(outcome, position=one.position, path=one.path), part) for one in files]
        return found

    def _picture_of(self, one: Candidate | Outcome) -> str | int:
        """What the files of one picture have in common; without the rule of copies every file is one."""
        if not self._alike:
            return one.position
        return one.sha256 if isinstance(one, Candidate) else one.old_sha256

    def _place(self, files: list[Candidate], data: bytes) -> None:
        """Put the same bytes into all files that hold a picture."""
        for candidate in files:
            expected = self._expected_of(candidate.position)
            target = safe_target(str(self._files), expected.path)
            draft = self._work / f"file-{candidate.position}.draft"
            put_in_place(data, target, draft, expected.mtime_ns, self._tree.mode_in_copy(expected))


def bare_error(names: list[str], outcomes: list[Outcome]) -> EmbeddingError:
    """No image of these groups could be marked: the commonest reason, and all of them for engineers."""
    reasons = Counter(outcome.reason for outcome in outcomes).most_common()
    most = f" Most often ({reasons[0][1]} of {len(outcomes)}): {reasons[0][0]}" if reasons else ""
    return EmbeddingError(
        f"No image of the group {', '.join(names[:5])} could be marked. Choose other groups or a stronger mark.{most}",
        detail="\n".join(f"{count}: {reason}" for reason, count in reasons),
    )
