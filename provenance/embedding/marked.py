"""Marking the key's images in blocks whose results are stored, so that a killed job resumes where it was."""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path

from provenance.canonical import canonical_json
from provenance.embedding.carried import without_claims
from provenance.embedding.claimed import BECOMES_COPY
from provenance.embedding.errors import EmbeddingError, NotMarkableError
from provenance.embedding.marking import WRITTEN_AS, mark_image
from provenance.embedding.placing import Expected, SourceTree, put_in_place, safe_target
from provenance.embedding.sizes import UNUSUAL, GroupSizes, Room, in_order_of_places
from provenance.marks import Candidate, MarkSecret, family_for
from provenance.marks.secret import GroupCandidates

BLOCK = 64  # images; a kill loses at most one block


@dataclass(frozen=True)
class Outcome:
    """What became of one candidate. `reason` is empty for a marked image, and says why not for any other.

    `size` is the marked file's; while one stands out by it, it is what it would have.
    """

    position: int  # in the manifest
    path: str
    group: int
    pattern: int
    old_sha256: str
    new_sha256: str = ""
    crc32: int = 0
    size: int = 0
    mode: str = ""
    psnr: float = 0.0  # dB
    survival: float = 0.0
    written_as: str = ""
    reason: str = ""

    @property
    def is_marked(self) -> bool:
        return not self.reason


class Marker:
    """Marks candidates of a release, group by group, until each group has what it wants or has no candidate left.

    Args:
        tree: the version's files. files: the release's. work: folder for stored blocks.
        expected_of, short_edge_of: what the manifest says of a position. sizes: which ones marked files may have.
            drop_claims: mark what is left without them. becomes_copy: whether that is another file's content. workers:
            threads.
    """

    def __init__(
        self,
        secret: MarkSecret,
        tree: SourceTree,
        files: Path,
        work: Path,
        expected_of: Callable[[int], Expected],
        short_edge_of: Callable[[int], int],
        *,
        sizes: GroupSizes,
        drop_claims: bool,
        becomes_copy: Callable[[int], bool],
        workers: int,
    ) -> None:
        self._secret = secret
        self._family = family_for(secret.settings)
        self._pattern_of_group = secret.pattern_of_group
        self._tree = tree
        self._files = files
        self._work = work
        self._expected_of = expected_of
        self._short_edge_of = short_edge_of
        self._drop_claims = drop_claims
        self._becomes_copy = becomes_copy
        self._sizes = sizes
        self._least_edge = secret.settings.least_edge
        self._alike = bool(secret.settings.copies)
        self._workers = workers

    def mark(self, groups: list[GroupCandidates]) -> Iterator[list[Outcome]]:
        """Yield the outcomes block by block; blocks that an earlier run finished come from their files.

        Which images are in a block follows from the outcomes of the blocks before, so every run sees the same blocks.
        """
        self._work.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(self._workers, thread_name_prefix="mark") as pool:
            for group in groups:
                room = self._sizes.room(group.group, group.wanted)
                marked = tried = number = 0
                standing_out: list[Outcome] = []
                while marked < group.wanted and tried < len(group.images):
                    stop = self._end(group.images, tried + min(BLOCK, group.wanted - marked))
                    outcomes = self._block(pool, number, group.images[tried:stop], room)
                    marked += sum(outcome.is_marked for outcome in outcomes)
                    tried, number = stop, number + 1
                    standing_out += [outcome for outcome in outcomes if outcome.reason == UNUSUAL]
                    yield [outcome for outcome in outcomes if outcome.reason != UNUSUAL]
                missing = group.wanted - marked
                yield from self._last_resort(pool, number, self._ordered(group.group, standing_out, missing), missing)

    def _ordered(self, group: int, standing_out: list[Outcome], missing: int) -> list[Outcome]:
        """First those that have places among as many as are missing: files that carry no mark left theirs empty."""
        pictures = [list(alike) for _, alike in groupby(standing_out, self._picture_of)]
        return in_order_of_places(partial(self._sizes.room, group), pictures, missing)

    def _last_resort(
        self, pool: ThreadPoolExecutor, number: int, standing_out: list[Outcome], missing: int
    ) -> Iterator[list[Outcome]]:
        """Those of which there are enough are marked, in order, only where no other image of their group is left."""
        images = tuple(Candidate(one.position, one.path, one.old_sha256, one.group) for one in standing_out)
        start = 0
        while start < min(missing, len(images)):
            stop = self._end(images, min(start + BLOCK, missing))
            yield self._block(pool, number, images[start:stop], None)
            start, number = stop, number + 1
        yield [replace(outcome, size=0) for outcome in standing_out[start:]]

    def _end(self, images: tuple[Candidate, ...], stop: int) -> int:
        """Where a block ends that would end at `stop`: behind the last file of the picture it ends with."""
        if not self._alike:
            return min(stop, len(images))
        while stop < len(images) and images[stop].sha256 == images[stop - 1].sha256:
            stop += 1
        return min(stop, len(images))

    def _block(
        self, pool: ThreadPoolExecutor, number: int, candidates: tuple[Candidate, ...], room: Room | None
    ) -> list[Outcome]:
        """Mark some images in order. room: without it, any size will do."""
        stored = self._work / f"{candidates[0].group:03d}-{number:06d}.json"
        if stored.exists():
            outcomes = [Outcome(**record) for record in json.loads(stored.read_bytes())]
            for outcome in outcomes:
                if room and outcome.is_marked:
                    room.take(outcome.position, outcome.size)
            return outcomes
        outcomes = []
        for files, (outcome, data) in self._marked(pool, candidates):
            if room and outcome.is_marked and not room.has_place(outcome.position, outcome.size, len(files)):
                outcome = replace(self._outcome(files[0]), size=outcome.size, reason=UNUSUAL)
            outcomes += self._placed(files, outcome, data, room)
        draft = stored.with_suffix(".draft")
        draft.write_bytes(canonical_json([asdict(outcome) for outcome in outcomes]))
        draft.replace(stored)
        return outcomes

    def _marked(
        self, pool: ThreadPoolExecutor, candidates: tuple[Candidate, ...]
    ) -> Iterator[tuple[list[Candidate], tuple[Outcome, bytes]]]:
        """Every picture's files, and what became of the first; few results wait at a time, for some are large."""
        waiting: deque[tuple[list[Candidate], Future[tuple[Outcome, bytes]]]] = deque()
        for _, alike in groupby(candidates, self._picture_of):
            files = list(alike)
            waiting.append((files, pool.submit(self._mark_one, files[0])))
            if len(waiting) > 2 * self._workers:
                files, first = waiting.popleft()
                yield files, first.result()
        for files, last in waiting:
            yield files, last.result()

    def _picture_of(self, one: Candidate | Outcome) -> str | int:
        """What the files of one picture have in common; without the rule of copies every file is one."""
        if not self._alike:
            return one.position
        return one.sha256 if isinstance(one, Candidate) else one.old_sha256

    def _placed(self, files: list[Candidate], outcome: Outcome, data: bytes, room: Room | None) -> list[Outcome]:
        """Put the same bytes into all files that hold a picture, where it is marked."""
        for candidate in files if outcome.is_marked else ():
            expected = self._expected_of(candidate.position)
            target = safe_target(str(self._files), expected.path)
            draft = self._work / f"file-{candidate.position}.draft"
            put_in_place(data, target, draft, expected.mtime_ns, self._tree.mode_in_copy(expected))
            if room:
                room.take(candidate.position, len(data))
        return [replace(outcome, position=candidate.position, path=candidate.path) for candidate in files]

    def _outcome(self, candidate: Candidate) -> Outcome:
        """Of a candidate with which nothing was done yet."""
        pattern = int(self._pattern_of_group[candidate.group])
        return Outcome(candidate.position, candidate.path, candidate.group, pattern, candidate.sha256)

    def _mark_one(self, candidate: Candidate) -> tuple[Outcome, bytes]:
        """What became of the candidate, and the marked file; nothing of it is written yet."""
        untouched = self._outcome(candidate)
        if self._short_edge_of(candidate.position) < self._least_edge:
            refusal = f"The image is smaller than the {self._least_edge} pixels that this mark needs."
            return replace(untouched, reason=refusal), b""
        if self._becomes_copy(candidate.position):  # one marked and the other not would show the mark
            return replace(untouched, reason=BECOMES_COPY), b""
        data = self._tree.read(self._expected_of(candidate.position))
        if self._drop_claims:
            data = without_claims(data)
        place = self._secret.placement(candidate.sha256)
        try:
            marked = mark_image(data, self._family, self._secret.patterns[untouched.pattern], place)
        except NotMarkableError as error:
            return replace(untouched, reason=error.sentence), b""
        outcome = replace(
            untouched,
            new_sha256=marked.sha256,
            crc32=marked.crc32,
            size=len(marked.data),
            mode=marked.mode,
            psnr=marked.psnr,
            survival=marked.survival,
            written_as=WRITTEN_AS,
        )
        return outcome, marked.data


def bare_error(names: list[str], outcomes: list[Outcome]) -> EmbeddingError:
    """No image of these groups could be marked: the commonest reason, and all of them for engineers."""
    reasons = Counter(outcome.reason for outcome in outcomes).most_common()
    most = f" Most often ({reasons[0][1]} of {len(outcomes)}): {reasons[0][0]}" if reasons else ""
    return EmbeddingError(
        f"No image of the group {', '.join(names[:5])} could be marked. Choose other groups or a stronger mark.{most}",
        detail="\n".join(f"{count}: {reason}" for reason, count in reasons),
    )
