"""Which files are one picture: exact copies are marked alike, near-duplicates may be left out.

Both are public and do not depend on the key (docs/method.md, section 2.5). The file of near-duplicates,
`<version>/near_duplicates/<SHA-256>.npy`, is (n,) int32 by position in the manifest: the number of the image's group of
near-duplicates, from 0, or NO_NEAR_DUPLICATE.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from provenance.errors import TouchmarkError
from provenance.marks.cluster_files import InFolder
from provenance.marks.digest_files import AlteredFileError, read_array, write_array
from provenance.marks.groups import EntryLike
from provenance.marks.settings import MarkSettings

NO_NEAR_DUPLICATE = -1
FEW_COPIES = 4  # files; a picture in more of them may take up an eighth of its group's marks at most
_OF_MARKS = 8

ACROSS_GROUPS = "Its exact copies do not all lie in one group."
TOO_MANY_COPIES = "Too many files hold this same picture."
HAS_NEAR_DUPLICATE = "It has a near-duplicate."
REASONS = ("", ACROSS_GROUPS, TOO_MANY_COPIES, HAS_NEAR_DUPLICATE)  # by the numbers that `Pictures.unfit` gives


class NearDuplicatesFileError(TouchmarkError):
    """The file of near-duplicates is gone, was altered, or belongs to another manifest."""


@dataclass(frozen=True)
class Pictures:
    """The n files of a manifest as pictures. first: (n,) int64, position of the first file with the same bytes.

    alike: whether the settings treat these as one. left_out: (n,) bool, whether a near-duplicate speaks against it.
    """

    alike: bool
    first: NDArray[np.int64]
    left_out: NDArray[np.bool_]

    def unfit(self, groups: NDArray[np.int16], wanted: Sequence[int]) -> NDArray[np.uint8]:
        """(n,) why a file is no candidate, as a place in REASONS; 0 where nothing speaks against it.

        groups: (n,), -1 for none. wanted: files to mark in each group.
        """
        least, most = groups.copy(), groups.copy()
        np.minimum.at(least, self.first, groups)
        np.maximum.at(most, self.first, groups)
        across = (least != most)[self.first]
        fits = np.array([max(FEW_COPIES, number // _OF_MARKS) for number in wanted], dtype=np.int64)
        many = (groups >= 0) & (self._sizes[self.first] > fits[np.maximum(groups, 0)])
        return np.select([self.left_out, across, many], [3, 1, 2], 0).astype(np.uint8)

    def files_of(self, position: int) -> list[int]:
        """Positions of all files with the bytes of this one, which is the first of them."""
        start, stop = np.searchsorted(self._in_order[1], (position, position + 1))
        return [int(index) for index in self._in_order[0][start:stop]]

    @cached_property
    def _sizes(self) -> NDArray[np.int64]:
        return np.bincount(self.first, minlength=len(self.first))

    @cached_property
    def _in_order(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        order = np.argsort(self.first, kind="stable")
        return order, self.first[order]


def pictures_of(manifest: InFolder, settings: MarkSettings) -> Pictures | None:
    """The files of a manifest as these settings see them; None where every file is a picture of its own.

    Raises NearDuplicatesFileError.
    """
    if not settings.copies and not settings.near_duplicates:
        return None
    first = first_copies(manifest) if settings.copies else np.arange(len(manifest))
    left_out = np.zeros(len(manifest), dtype=np.bool_)
    if settings.near_duplicates:
        left_out = read_near_duplicates(manifest.folder.parent, settings.near_duplicates) != NO_NEAR_DUPLICATE
    if len(left_out) != len(first):
        raise NearDuplicatesFileError(
            "The near-duplicates belong to another version: they count other images. Count those of this version.",
            f"{len(first)} entries, {len(left_out)} near-duplicates",
        )
    return Pictures(bool(settings.copies), first, left_out)


def first_copies(entries: Iterable[EntryLike]) -> NDArray[np.int64]:
    """(n,) int64: for every file the position of the first one with the same SHA-256; in one pass, 60 bytes a file."""
    return first_of(b"".join(bytes.fromhex(entry.sha256) for entry in entries))


def first_of(sha256s: bytes) -> NDArray[np.int64]:
    """The same for n digests of 32 bytes, one after the other."""
    digests = np.frombuffer(sha256s, dtype=">u8").reshape(-1, 4)
    order = np.lexsort(digests.T)  # stable, so that the first of equals comes first
    ordered = digests[order]
    begins = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])[: len(order)]
    first = np.empty(len(order), dtype=np.int64)
    first[order] = order[np.flatnonzero(begins)][np.cumsum(begins) - 1]
    return first


def write_near_duplicates(version_folder: Path, group_of: NDArray[np.int32]) -> str:
    """Store which image belongs to which group of near-duplicates; returns the file's digest."""
    return write_array(version_folder / "near_duplicates", group_of.astype(np.int32))


def read_near_duplicates(version_folder: Path, digest: str) -> NDArray[np.int32]:
    """(n,) int32, checked against the digest. Raises NearDuplicatesFileError."""
    try:
        group_of: NDArray[np.int32] = read_array(version_folder / "near_duplicates", digest)
    except OSError as error:
        raise NearDuplicatesFileError(
            "The file of near-duplicates that the mark settings name is gone. Put it back from a backup.", str(error)
        ) from error
    except AlteredFileError as error:
        raise NearDuplicatesFileError(
            "The file of near-duplicates that the mark settings name was altered. Put it back from a backup.", digest
        ) from error
    return group_of
