"""The pictures of a release that come in one of two versions: which they are, and how the other is made again.

A picture is one of them where either version can be written like its source: that does not hang on which one the key
publishes. `versions.jsonl` in the release's folder has a line of each file; it is a secret of the owner.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from provenance.canonical import canonical_json
from provenance.embedding.carried import without_claims
from provenance.embedding.comparison import Spread
from provenance.embedding.errors import EmbeddingError
from provenance.embedding.marking import MarkedImage, mark_image
from provenance.embedding.places import Parts
from provenance.embedding.propensity import Row
from provenance.embedding.trying import Outcome, Trier
from provenance.marks import Candidate, VersionSecret, VersionsSettings
from provenance.marks.overlay import FaintFamily
from provenance.marks.reach import FEWEST_BLOCKS
from provenance.marks.versions import two_patterns
from provenance.whole_files import write_whole
from provenance.wording import count

LISTED = "versions.jsonl"
NO_PLACE = (0.0, 0.0)  # the waves of every picture have phases of their own


def least_edge(settings: VersionsSettings) -> int:
    """Pixels that a picture needs to come in two versions."""
    return FaintFamily(settings).least_edge


def both_versions(data: bytes, settings: VersionsSettings, sha256: str) -> tuple[MarkedImage, MarkedImage]:
    """Either version of a picture, written like its file. Raises NotMarkableError where one of them cannot be.

    data: the file that is changed. sha256: of its source, which decides what is added.
    """
    family = FaintFamily(settings)
    first, second = two_patterns(family, sha256)
    return mark_image(data, family, first, NO_PLACE), mark_image(data, family, second, NO_PLACE)


class PublishedVersions:
    """What a set of versions does to the file of a candidate."""

    def __init__(self, secret: VersionSecret) -> None:
        self._secret = secret
        self.least_edge = least_edge(secret.settings)

    def pattern_of(self, candidate: Candidate) -> int:
        """The version that is published, 0 or 1."""
        return self._secret.published(candidate.sha256)

    def mark(self, data: bytes, candidate: Candidate) -> MarkedImage:
        """The file in that version. Raises NotMarkableError where either cannot be written."""
        return both_versions(data, self._secret.settings, candidate.sha256)[self.pattern_of(candidate)]


class NoComparison:
    """Versions are not chosen by what they look like: a choice among them would hang on the key's."""

    def seen(self, position: int, data: bytes) -> Row:
        return {}

    def spread(self, pool: ThreadPoolExecutor, trier: Trier, ahead: int, told: Callable[[], None]) -> Spread:
        return Spread(Parts({}), None, [np.zeros(0)], lambda position: "", lambda sha256: 0)


def few_versions_error(outcomes: list[Outcome]) -> EmbeddingError:
    """Hardly any picture could be written in both versions: the commonest reason, and all of them for engineers."""
    reasons = Counter(outcome.reason for outcome in outcomes if outcome.reason).most_common()
    if not reasons:
        return EmbeddingError(
            f"The {count(len(outcomes))} images that would come in two versions are fewer than {FEWEST_BLOCKS} "
            "pictures, since exact copies are one picture; too few for a test. Choose a larger share."
        )
    most = f" Most often ({reasons[0][1]} of {len(outcomes)}): {reasons[0][0]}"
    return EmbeddingError(
        f"Fewer than {FEWEST_BLOCKS} pictures can be written in both versions, too few for a test. Choose fewer "
        f"decibels, or a larger share.{most}",
        detail="\n".join(f"{number}: {reason}" for reason, number in reasons),
    )


@dataclass(frozen=True)
class VersionRow:
    """One file of the copy that is one of two versions. published: which, 0 or 1. sha256: of its source."""

    position: int
    path: str
    sha256: str
    written_sha256: str
    published: int
    psnr: float


def write_versions(outcomes: list[Outcome], folder: Path) -> None:
    """The owner's list of a release, by position."""
    rows = [
        VersionRow(one.position, one.path, one.old_sha256, one.new_sha256, one.pattern, one.psnr)
        for one in sorted(outcomes, key=lambda one: one.position)
        if one.is_marked
    ]

    def fill(part: Path) -> None:
        with part.open("wb") as file:
            for row in rows:
                file.write(canonical_json(asdict(row)) + b"\n")

    write_whole(folder / LISTED, fill)


def read_versions(folder: Path) -> Iterator[VersionRow]:
    """The files of a release that are one of two versions; none where its settings make none."""
    try:
        with (folder / LISTED).open("rb") as lines:
            for line in lines:
                yield VersionRow(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise EmbeddingError("The list of versions was altered. Put the release back from a backup.") from error


def versions_again(
    source: bytes, settings: VersionsSettings, sha256: str, *, drop_claims: bool
) -> tuple[MarkedImage, MarkedImage]:
    """Both versions of a picture, made anew from its source. Raises EmbeddingError, NotMarkableError.

    sha256: of the source when the release was made.
    """
    if hashlib.sha256(source).hexdigest() != sha256:
        raise EmbeddingError("A source file was changed since the release was made. Put it back from a backup.")
    return both_versions(without_claims(source) if drop_claims else source, settings, sha256)
