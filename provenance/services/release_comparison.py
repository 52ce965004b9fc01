"""What a recipient sees who lays a release beside the original or beside another copy: counts, for its owner alone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from provenance.models import Release

MOST_OTHERS = 20  # newest first


@dataclass(frozen=True)
class OtherCopy:
    """Another release of the same version, and how many images differ between the two."""

    release: Release
    differ: int


@dataclass(frozen=True)
class Comparison:
    """original: images that differ from the version's own. others: further copies; more: those that are not listed.

    drops: whether claims were dropped from files of one of these copies, which then differ without a mark.
    """

    original: int
    others: list[OtherCopy]
    more: int
    drops: bool


def compared(release: Release) -> Comparison:
    """For a release that is ready. A release keeps the paths of its version, so that manifests compare line by line."""
    own = _contents(release.folder / "manifest")
    others = release.version.releases.ready().exclude(pk=release.pk)
    listed = [OtherCopy(other, _differ(own, _contents(other.folder / "manifest"))) for other in others[:MOST_OTHERS]]
    original = _differ(own, _contents(release.version.manifest_folder))
    drops = any(one.facts.get("claims_dropped") for one in (release, *(other.release for other in listed)))
    return Comparison(original, listed, max(others.count() - len(listed), 0), drops)


def _contents(manifest: Path) -> NDArray[np.uint32]:
    """(n,) CRC-32 of every file, in the manifest's order: quick to read where a manifest's lines would take seconds.

    Two different files have the same one with a chance of 2⁻³².
    """
    return np.fromfile(manifest / "crc32.bin", dtype="<u4")


def _differ(one: NDArray[np.uint32], other: NDArray[np.uint32]) -> int:
    return int((one != other).sum())
