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

import numpy as np
from numpy.typing import NDArray

from provenance.embedding.carried import without_claims
from provenance.embedding.errors import EmbeddingError, NotMarkableError
from provenance.embedding.trying import in_turn
from provenance.embedding.versions import versions_again
from provenance.intake.manifest import Manifest
from provenance.marks import SettingsError, VersionSecret, VersionsSettings
from provenance.models import Release
from provenance.services.keys import open_versions
from provenance.services.manifests import open_manifest

OTHER_SOFTWARE = (
    "The version of a picture that was published cannot be made again: the libraries that write images are others than "
    "when the release was made. Run this audit with the software of that time."
)


@dataclass(frozen=True)
class _Picture:
    """position, path, sha256: of its first file in the version. written: SHA-256 of that file in the copy."""

    position: int
    path: str
    sha256: str
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

    def __len__(self) -> int:
        return len(self.home)

    def __repr__(self) -> str:
        return f"VersionChoice(<{len(self)} pictures>)"

    @property
    def positions(self) -> NDArray[np.int64]:
        """(B,) in the manifest of the version, of the first file of each picture."""
        return np.array([one.position for one in self._pictures], dtype=np.int64)

    def files(self, folder: Path, told: Callable[[], None]) -> list[tuple[Path, str]]:
        """Both versions of every picture, version 0 before version 1, written into `folder`, with their SHA-256.

        told: called after each; may raise to stop. Raises EmbeddingError where a source was changed, or where the
        published version is another file than the copy's.
        """
        folder.mkdir(parents=True, exist_ok=True)
        found: list[tuple[Path, str]] = []
        workers = max(1, len(os.sched_getaffinity(0)))
        with ThreadPoolExecutor(workers, thread_name_prefix="versions") as pool:
            work = partial(self._make, folder)
            for _, pair in in_turn(pool, work, range(len(self)), 2 * workers):
                told()
                found += pair
        return found

    def _make(self, folder: Path, number: int) -> list[tuple[Path, str]]:
        one, release = self._pictures[number], self._release
        source = (release.version.files_folder / one.path).read_bytes()
        try:
            pair = versions_again(source, self.settings, one.sha256, drop_claims=release.drop_claims)
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
    pictures = tuple(_pictures(release, secret))
    home = np.array([secret.home(one.sha256) for one in pictures], dtype=np.int64)
    return VersionChoice(secret.settings, home, release, pictures)


def _pictures(release: Release, secret: VersionSecret) -> Iterator[_Picture]:
    """Of the key's candidates those of which the copy holds another file than the version."""
    with open_manifest(release.version) as version, Manifest(release.folder / "manifest") as copy:
        for manifest, root in ((version, release.version.root), (copy, release.root)):
            if manifest.root != root:
                raise EmbeddingError("A manifest on disk is not the one that is on record. Put it back from a backup.")
        for sha256, files in groupby(secret.candidates(version).images, lambda one: one.sha256):
            first = next(files)
            written = copy.entry(first.position).sha256
            if written not in (sha256, _unchanged(release, first.path) if release.drop_claims else sha256):
                yield _Picture(first.position, first.path, sha256, written)


def _unchanged(release: Release, path: str) -> str:
    """SHA-256 of a file without its claims, as a copy without them holds it where nothing else was done to it."""
    return hashlib.sha256(without_claims((release.version.files_folder / path).read_bytes())).hexdigest()


def positions_of_versions(release: Release) -> frozenset[int]:
    """Positions of all files that were to come in one of two versions: no other test may ask about one."""
    secret = open_versions(release.key)
    if secret is None:
        return frozenset()
    with open_manifest(release.version) as manifest:
        return frozenset(one.position for one in secret.candidates(manifest).images)
