"""What becomes of single candidates, before it is decided which of them are marked."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from provenance.canonical import canonical_json
from provenance.embedding.carried import without_claims
from provenance.embedding.claimed import BECOMES_COPY
from provenance.embedding.errors import NotMarkableError
from provenance.embedding.marking import WRITTEN_AS, MarkedImage, mark_image
from provenance.embedding.placing import Expected, SourceTree
from provenance.embedding.propensity import Row
from provenance.marks import Candidate, MarkSecret, family_for
from provenance.whole_files import write_whole

Seen = Callable[[int, bytes], Row]  # what is measured of a file that would lie at a position

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Outcome:
    """What became of one candidate. `reason` is empty for a marked image, and says why not for any other.

    `size` is the marked file's; while one stands out, it is what it would have.
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


@dataclass(frozen=True)
class Tried:
    """A candidate's outcome, the marked file, and what is measured of it; nothing of it is placed yet."""

    outcome: Outcome
    data: bytes = b""
    row: Row | None = None


class Strikes(Protocol):
    """What a mark set does to the file of a candidate."""

    @property
    def least_edge(self) -> int:
        """Pixels that an image needs to carry it."""
        ...

    def pattern_of(self, candidate: Candidate) -> int:
        """The number of what it is given."""
        ...

    def mark(self, data: bytes, candidate: Candidate) -> MarkedImage:
        """The file with it. Raises NotMarkableError."""
        ...


class StruckMarks:
    """The marks of a struck set."""

    def __init__(self, secret: MarkSecret) -> None:
        self._secret, self._family = secret, family_for(secret.settings)
        self._pattern_of_group = secret.pattern_of_group

    @property
    def least_edge(self) -> int:
        return self._family.least_edge

    def pattern_of(self, candidate: Candidate) -> int:
        return int(self._pattern_of_group[candidate.group])

    def mark(self, data: bytes, candidate: Candidate) -> MarkedImage:
        pattern = self._secret.patterns[self.pattern_of(candidate)]
        return mark_image(data, self._family, pattern, self._secret.placement(candidate.sha256))


class Trier:
    """Marks single candidates of a release, those of the trial once for both uses.

    Args: tree: the version's files. kept: folder for what the trial made. expected_of, short_edge_of: what the manifest
    says of a position. drop_claims: mark what is left without them. becomes_copy: whether that is another file's
    content.
    """

    def __init__(
        self,
        strikes: Strikes,
        tree: SourceTree,
        kept: Path,
        expected_of: Callable[[int], Expected],
        short_edge_of: Callable[[int], int],
        *,
        drop_claims: bool,
        becomes_copy: Callable[[int], bool],
    ) -> None:
        self._strikes = strikes
        self._tree, self._kept = tree, kept
        self._expected_of, self._short_edge_of = expected_of, short_edge_of
        self._drop_claims, self._becomes_copy = drop_claims, becomes_copy

    def untouched(self, candidate: Candidate) -> Outcome:
        """Of a candidate with which nothing was done yet."""
        pattern = self._strikes.pattern_of(candidate)
        return Outcome(candidate.position, candidate.path, candidate.group, pattern, candidate.sha256)

    def source(self, position: int) -> bytes:
        """A file as it is in the copy where it bears no mark. Raises SourceChangedError."""
        data = self._tree.read(self._expected_of(position))
        return without_claims(data) if self._drop_claims else data

    def rehearse(self, candidate: Candidate, seen: Seen) -> Tried:
        """Try a candidate ahead of its turn, and keep the file on disk until then; the answer is without it."""
        listed, file = self._kept_as(candidate)
        if not listed.exists():
            tried = self.attempt(candidate, seen)
            record = canonical_json({"outcome": asdict(tried.outcome), "row": tried.row})
            write_whole(file, lambda draft: draft.write_bytes(tried.data))
            write_whole(listed, lambda draft: draft.write_bytes(record))
        return _read(listed)

    def attempt(self, candidate: Candidate, seen: Seen | None) -> Tried:
        """What became of the candidate. seen: without it nothing is measured."""
        listed, file = self._kept_as(candidate)
        if listed.exists():
            return replace(_read(listed), data=file.read_bytes())
        untouched = self.untouched(candidate)
        if self._short_edge_of(candidate.position) < (least := self._strikes.least_edge):
            refusal = f"The image is smaller than the {least} pixels that this mark needs."
            return Tried(replace(untouched, reason=refusal))
        if self._becomes_copy(candidate.position):  # one marked and the other not would show the mark
            return Tried(replace(untouched, reason=BECOMES_COPY))
        try:
            marked = self._strikes.mark(self.source(candidate.position), candidate)
        except NotMarkableError as error:
            return Tried(replace(untouched, reason=error.sentence))
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
        return Tried(outcome, marked.data, seen(candidate.position, marked.data) if seen else None)

    def _kept_as(self, candidate: Candidate) -> tuple[Path, Path]:
        return self._kept / f"{candidate.position}.json", self._kept / f"{candidate.position}.marked"


def _read(listed: Path) -> Tried:
    found = json.loads(listed.read_bytes())
    return Tried(Outcome(**found["outcome"]), row=found["row"])


def in_turn(
    pool: ThreadPoolExecutor, work: Callable[[_Item], _Result], items: Iterable[_Item], ahead: int
) -> Iterator[tuple[_Item, _Result]]:
    """Every item in order with what the pool's threads made of it; few results wait at a time, for some are large."""
    waiting: deque[tuple[_Item, Future[_Result]]] = deque()
    for item in items:
        waiting.append((item, pool.submit(work, item)))
        if len(waiting) > ahead:
            first, result = waiting.popleft()
            yield first, result.result()
    for last, result in waiting:
        yield last, result.result()
