"""What a recipient sees who lays a release beside the original or beside another copy: counts, for its owner alone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from provenance.embedding.at_home import positions_at_home
from provenance.models import Release

MOST_OTHERS = 20  # newest first
ABSENT = -1


@dataclass(frozen=True)
class OtherCopy:
    """Another release of the same version. differ: images that are in both and differ; apart: that are in one alone."""

    release: Release
    differ: int
    apart: int


@dataclass(frozen=True)
class Comparison:
    """original: images that differ from the version's own. others: further copies; more: those that are not listed.

    drops: whether claims were dropped from files of one of these copies, which then differ without a mark.
    """

    original: int
    others: list[OtherCopy]
    more: int
    drops: bool

    @property
    def is_apart(self) -> bool:
        """Whether some copies hold images that others lack."""
        return any(other.apart for other in self.others)


def compared(release: Release) -> Comparison:
    """For a release that is ready. A release keeps the paths and the order of its version, but for what stays home."""
    own, others = _contents(release), release.version.releases.ready().exclude(pk=release.pk)
    listed = []
    for other in others[:MOST_OTHERS]:
        theirs = _contents(other)
        listed.append(OtherCopy(other, _differ(own, theirs), int(((own == ABSENT) != (theirs == ABSENT)).sum())))
    original = _differ(own, _read(release.version.manifest_folder).astype(np.int64))
    drops = any(one.facts.get("claims_dropped") for one in (release, *(other.release for other in listed)))
    return Comparison(original, listed, max(others.count() - len(listed), 0), drops)


def _contents(release: Release) -> NDArray[np.int64]:
    """(n,) CRC-32 of every file, in the order of the version's manifest; ABSENT for what stays home.

    Quick to read where a manifest's lines would take seconds; two different files have the same one with a chance of
    2⁻³².
    """
    crcs, home = _read(release.folder / "manifest"), positions_at_home(release.folder)
    contents = np.full(len(crcs) + len(home), ABSENT, dtype=np.int64)
    there = np.ones(len(contents), dtype=np.bool_)
    there[list(home)] = False
    contents[there] = crcs
    return contents


def _read(manifest: Path) -> NDArray[np.uint32]:
    return np.fromfile(manifest / "crc32.bin", dtype="<u4")


def _differ(one: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    return int(((one != other) & (one != ABSENT) & (other != ABSENT)).sum())
