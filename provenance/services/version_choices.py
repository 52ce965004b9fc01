"""Pictures of a release that come in one of two versions: which are published, and both made again for an audit.

For jobs alone. Which pictures these are follows from the key's order and from the manifests of version and copy, which
are on record before any audit: no list of the owner's decides.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from provenance.embedding.carried import without_claims
from provenance.embedding.claimed import Claimed
from provenance.embedding.errors import EmbeddingError, NotMarkableError
from provenance.embedding.marking import MarkedImage
from provenance.embedding.trying import in_turn
from provenance.embedding.versions import least_edge, versions_again
from provenance.intake.manifest import Manifest
from provenance.marks import SettingsError, VersionSecret, VersionsSettings
from provenance.models import Release
from provenance.services.keys import open_versions
from provenance.services.manifests import open_manifest

OTHER_SOFTWARE = (
    "The version of a picture that was published cannot be made again: the libraries that write images are others than "
    "when the release was made. Run this audit with the software of that time."
)
LEFT_OUT = (
    "The copy holds a picture as it is that can be written in either version, so more than the key may have "
    "chosen which pictures this test asks about. If the libraries that write images are others than when the release "
    "was made, run this audit with the software of that time; else no audit can rest on the versions of this copy."
)
GONE = "A source file is gone since the release was made, or cannot be read. Put it back from a backup."


@dataclass(frozen=True)
class _Picture:
    """position, path, sha256, edge: of its first file in the version. written: SHA-256 of that file in the copy."""

    position: int
    path: str
    sha256: str
    edge: int  # the shorter, in pixels
    written: str


@dataclass(frozen=True, repr=False)
class VersionChoice:
    """The B pictures of a release that come in one of two versions, in the key's order. A secret.

    home: (B,) int64, which version stays home, 0 or 1.
    """

    settings: VersionsSettings
    home: NDArray[np.int64]
    _release: Release = field(repr=False)
    _pictures: tuple[_Picture, ...] = field(repr=False)
    _left: tuple[_Picture, ...] = field(repr=False)  # that the key chose as well, and that the copy holds as they are

    def __len__(self) -> int:
        return len(self.home)

    def __repr__(self) -> str:
        return f"VersionChoice(<{len(self)} pictures>)"

    @property
    def positions(self) -> NDArray[np.int64]:
        """(B,) in the manifest of the version, of the first file of each picture."""
        return np.array([one.position for one in self._pictures], dtype=np.int64)

    def of(self, numbers: NDArray[np.int64]) -> "VersionChoice":
        """These pictures alone."""
        pictures = tuple(self._pictures[int(number)] for number in numbers)
        return VersionChoice(self.settings, self.home[numbers], self._release, pictures, self._left)

    def files(self, folder: Path, told: Callable[[], None]) -> list[tuple[Path, str]]:
        """Both versions of every picture, version 0 before version 1, written into `folder`, with their SHA-256.

        told: called after each; may raise to stop. Raises EmbeddingError where a source was changed, where the
        published version is another file than the copy's, or where the copy leaves a picture out that has both.
        """
        folder.mkdir(parents=True, exist_ok=True)
        found: list[tuple[Path, str]] = []
        workers = max(1, len(os.sched_getaffinity(0)))
        with ThreadPoolExecutor(workers, thread_name_prefix="versions") as pool:
            self._check_left(pool, 2 * workers, told)
            work = partial(self._make, folder)
            for _, pair in in_turn(pool, work, range(len(self)), 2 * workers):
                told()
                found += pair
        return found

    def _check_left(self, pool: ThreadPoolExecutor, ahead: int, told: Callable[[], None]) -> None:
        """Whoever left pictures out by which version the key publishes would make an innocent model look guilty."""
        writable = []
        for one, both in in_turn(pool, self._has_both, self._left, ahead):
            told()
            if both:
                writable.append(one.position)
        if not writable:
            return
        release = self._release
        if not release.drop_claims:
            raise EmbeddingError(LEFT_OUT)
        with open_manifest(release.version) as manifest, TemporaryDirectory() as scratch:
            stored = Path(scratch) / "claims"
            claimed = Claimed.found(manifest, release.version.files_folder, stored, lambda done: told())
        if not all(claimed.becomes_copy(position) for position in writable):
            raise EmbeddingError(LEFT_OUT)

    def _has_both(self, one: _Picture) -> bool:
        if one.edge < least_edge(self.settings):
            return False
        try:
            self._pair(one)
        except NotMarkableError:
            return False
        return True

    def _pair(self, one: _Picture) -> tuple[MarkedImage, MarkedImage]:
        source = _source(self._release, one.path)
        return versions_again(source, self.settings, one.sha256, drop_claims=self._release.drop_claims)

    def _make(self, folder: Path, number: int) -> list[tuple[Path, str]]:
        one = self._pictures[number]
        try:
            pair = self._pair(one)
        except NotMarkableError as error:
            raise EmbeddingError(OTHER_SOFTWARE, error.sentence) from error
        if pair[1 - int(self.home[number])].sha256 != one.written:
            raise EmbeddingError(OTHER_SOFTWARE)
        made = [(folder / f"{number:06d}-{which}", image) for which, image in enumerate(pair)]
        for path, image in made:
            path.write_bytes(image.data)
        return [(path, image.sha256) for path, image in made]


def published_versions(release: Release) -> VersionChoice:
    """Which versions a release's key published. Raises SettingsError where it has none, and as `open_secrets` does."""
    secret = open_versions(release.key)
    if secret is None:
        raise SettingsError("No picture of this release comes in one of two versions.")
    pictures: list[_Picture] = []
    left: list[_Picture] = []
    for one in _candidates(release, secret):
        (left if _is_as_it_was(release, one) else pictures).append(one)
    home = np.array([secret.home(one.sha256) for one in pictures], dtype=np.int64)
    return VersionChoice(secret.settings, home, release, tuple(pictures), tuple(left))


def _candidates(release: Release, secret: VersionSecret) -> Iterator[_Picture]:
    """The pictures that the key chose, in its order."""
    with open_manifest(release.version) as version, Manifest(release.folder / "manifest") as copy:
        for manifest, root in ((version, release.version.root), (copy, release.root)):
            if manifest.root != root:
                raise EmbeddingError("A manifest on disk is not the one that is on record. Put it back from a backup.")
        for sha256, files in groupby(secret.candidates(version).images, lambda one: one.sha256):
            first = next(files)
            entry, written = version.entry(first.position), copy.entry(first.position).sha256
            yield _Picture(first.position, first.path, sha256, min(entry.width, entry.height), written)


def _is_as_it_was(release: Release, one: _Picture) -> bool:
    """Whether the copy holds the version's own file, without its claims where the copy has none."""
    if one.written == one.sha256 or not release.drop_claims:
        return one.written == one.sha256
    return hashlib.sha256(without_claims(_source(release, one.path))).hexdigest() == one.written


def _source(release: Release, path: str) -> bytes:
    """Raises EmbeddingError without the file's name, which could tell what the key chose."""
    try:
        return (release.version.files_folder / path).read_bytes()
    except OSError:
        raise EmbeddingError(GONE) from None


def positions_of_versions(release: Release) -> frozenset[int]:
    """Positions of all files that were to come in one of two versions: no other test may ask about one."""
    secret = open_versions(release.key)
    if secret is None:
        return frozenset()
    with open_manifest(release.version) as manifest:
        return frozenset(one.position for one in secret.candidates(manifest).images)
