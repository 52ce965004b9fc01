"""The file that says which cluster every image of a version belongs to, and entries that carry their cluster's name.

`<version>/clusters/<SHA-256 of the file>.npy`: (n,) uint16 by position in the manifest, counted from 0, `clusters.NONE`
for an image without a cluster. Mark settings commit to its digest (docs/method.md, section 2.3). Beside it the signs of
the features that it was found by, named by their digest too.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from provenance.errors import TouchmarkError
from provenance.marks.clusters import NONE
from provenance.marks.digest_files import AlteredFileError, array_path, read_array, write_array
from provenance.marks.groups import EntryLike
from provenance.marks.settings import MarkSettings


class ClusterFileError(TouchmarkError):
    """The file of clusters is gone, was altered, or belongs to another manifest."""


class Entries(Protocol):
    """What a manifest offers: its entries in order, any number of times, and one by its position."""

    def __iter__(self) -> Iterator[EntryLike]: ...
    def __len__(self) -> int: ...
    def entry(self, index: int) -> EntryLike: ...


class InFolder(Entries, Protocol):
    """A manifest with its place on disk."""

    @property
    def folder(self) -> Path: ...


class ClusteredEntry(NamedTuple):
    """An entry whose label is the name of its cluster, or None where it has none."""

    path: str
    sha256: str
    label: str | None
    caption: str | None


class ClusteredEntries:
    """A manifest's entries with the names of their clusters as labels; like a manifest, it can be walked again."""

    def __init__(self, entries: Entries, clusters: NDArray[np.uint16]) -> None:
        if len(entries) != len(clusters):
            raise ClusterFileError(
                "The clusters belong to another version: they count other images. Cluster this version anew.",
                f"{len(entries)} entries, {len(clusters)} clusters",
            )
        self._entries, self._clusters = entries, clusters
        found = np.unique(clusters)
        self._names = {int(number): cluster_name(int(number)) for number in found if number != NONE}

    def __iter__(self) -> Iterator[ClusteredEntry]:
        for entry, cluster in zip(self._entries, self._clusters.tolist(), strict=True):
            yield ClusteredEntry(entry.path, entry.sha256, self._names.get(cluster), entry.caption)

    def __len__(self) -> int:
        return len(self._clusters)

    def entry(self, index: int) -> ClusteredEntry:
        found = self._entries.entry(index)
        name = self._names.get(int(self._clusters[index]))
        return ClusteredEntry(found.path, found.sha256, name, found.caption)


def cluster_name(number: int) -> str:
    """What people and settings call the cluster with this number, counted from 0: "cluster 1" is the first."""
    return f"cluster {number + 1}"


def cluster_names(count: int) -> tuple[str, ...]:
    return tuple(map(cluster_name, range(count)))


def clusters_path(version_folder: Path, digest: str) -> Path:
    return array_path(version_folder / "clusters", digest)


def write_clusters(version_folder: Path, clusters: NDArray[np.uint16]) -> str:
    """Store clusters under their digest; returns it."""
    return write_array(version_folder / "clusters", clusters.astype(np.uint16))


def write_signs(version_folder: Path, signs: NDArray[np.uint64]) -> str:
    """Store the signs of features, (n, w), under their digest; returns it."""
    return write_array(version_folder / "clusters", signs.astype(np.uint64))


def read_clusters(version_folder: Path, digest: str) -> NDArray[np.uint16]:
    """(n,) uint16, checked against the digest. Raises ClusterFileError."""
    return _read(version_folder, digest, "clusters that groups these images")


def read_signs(version_folder: Path, digest: str) -> NDArray[np.uint64]:
    """(n, w), checked against the digest. Raises ClusterFileError."""
    return _read(version_folder, digest, "signs that says which images are alike")


def _read(version_folder: Path, digest: str, what: str) -> NDArray[Any]:
    try:
        return read_array(version_folder / "clusters", digest)
    except OSError as error:
        raise ClusterFileError(f"The file of {what} is gone. Put it back from a backup.", str(error)) from error
    except AlteredFileError as error:
        raise ClusterFileError(f"The file of {what} was altered. Put it back from a backup.", digest) from error


def groups_of_clusters(version_folder: Path, settings: MarkSettings) -> NDArray[np.int16]:
    """The group of every image in the manifest's order: (n,), -1 for those of no group. Raises ClusterFileError."""
    clusters = read_clusters(version_folder, settings.clusters)
    group_of = {name: group for group, name in enumerate(settings.groups)}
    numbers, where = np.unique(clusters, return_inverse=True)
    names = (cluster_name(number) if number != NONE else "" for number in numbers.tolist())
    groups: NDArray[np.int16] = np.array([group_of.get(name, -1) for name in names], dtype=np.int16)[where]
    return groups


def grouped_entries(manifest: InFolder, settings: MarkSettings) -> Entries:
    """The entries as these settings group them: the manifest itself, or its entries with their clusters as labels.

    Everything that asks a grouping or a secret about a manifest asks it about these. The manifest lies in its version's
    folder. Raises ClusterFileError.
    """
    if settings.is_plain or settings.group_by != "cluster":
        return manifest
    return ClusteredEntries(manifest, read_clusters(manifest.folder.parent, settings.clusters))
