"""Putting unchanged files into a release: hard link, reflink or copy, byte-identical, and sure of what they are."""

import errno
import fcntl
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from provenance import wording
from provenance.embedding.errors import EmbeddingError, SourceChangedError

LISTED = 1000  # changed files that are named in an error's detail
_FICLONE = 0x40049409  # Linux: share the source's blocks until one side is written
_CHUNK = 1 << 20
COPIED_MODE = 0o644  # of a file that was copied, not linked
_SMALL = 1 << 16  # bytes below which one read and one write are the quickest way
_NO_LINK = {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EACCES, errno.ENOTSUP}


class Expected(NamedTuple):
    """What the manifest says of a file."""

    path: str
    size: int
    sha256: str
    mtime_ns: int


@dataclass(frozen=True)
class SourceTree:
    """The files of a version.

    Attributes:
        root: their folder. owned: True where the folder is ours and nobody writes in it, so that a release may share
        its files by hard links; a folder that is only referenced is read and checked, never linked.
    """

    root: Path
    owned: bool

    def read(self, expected: Expected) -> bytes:
        """The content, proven by its SHA-256.

        Raises SourceChangedError without the file's name: what is read is what the key chose, and whoever may read why
        a job failed may not know that.
        """
        try:
            data = (self.root / expected.path).read_bytes()
        except OSError:
            data = b""
        if hashlib.sha256(data).hexdigest() != expected.sha256:
            raise SourceChangedError(
                "A file has other content than when this version was registered, though its size is the same. It is "
                "not named here, for that could tell which images the key chose. Put the version's files back from a "
                "backup, or register them as a new version."
            ) from None
        return data

    def is_unchanged(self, expected: Expected) -> bool:
        """True where size and time are the manifest's, or the size and, hashed again, the content are."""
        source = f"{self.root}/{expected.path}"
        try:
            found = os.stat(source)  # noqa: PTH116
            if found.st_size != expected.size:
                return False
            return self.owned or found.st_mtime_ns == expected.mtime_ns or file_sha256(source) == expected.sha256
        except OSError:
            return False

    def mode_in_copy(self, expected: Expected) -> int:
        """The permissions that this file has in a copy where it is placed unchanged: its own if linked, else ours."""
        return stat.S_IMODE((self.root / expected.path).stat().st_mode) if self.owned else COPIED_MODE

    def place(self, expected: Expected, target: str) -> None:
        """Put the file at `target`, whose folder exists. What an earlier run left there is linked already or rewritten.

        Raises: SourceChangedError where the file is gone or no longer what the manifest says.
        """
        source = f"{self.root}/{expected.path}"
        if self.owned:
            if not self.is_unchanged(expected):
                raise changed_error([expected.path])
            if _linked(source, target):
                return
        try:
            copied = self._copied(source, target, expected)
        except FileNotFoundError:
            copied = False
        if not copied:
            raise changed_error([expected.path])

    def _copied(self, source: str, target: str, expected: Expected) -> bool:
        """Copy one file with its time; False where it is not the manifest's file before and after."""
        read = os.open(source, os.O_RDONLY)
        try:
            before = os.fstat(read)
            if before.st_mtime_ns != expected.mtime_ns and not self.is_unchanged(expected):
                return False
            if before.st_size != expected.size:
                return False
            write = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, COPIED_MODE)
            try:
                copy_content(read, write, expected.size)
                os.utime(write, ns=(expected.mtime_ns, expected.mtime_ns))
                whole = os.fstat(write).st_size == expected.size
            finally:
                os.close(write)
            after = os.fstat(read)
            return whole and (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
        finally:
            os.close(read)


def changed_error(paths: list[str]) -> SourceChangedError:
    """One error for all files that are not what the manifest says."""
    named = ", ".join(paths[:3]) + (" and others" if len(paths) > 3 else "")
    those = "1 file has" if len(paths) == 1 else f"{wording.count(len(paths))} files have"
    return SourceChangedError(
        f"{those} changed or gone since this version was registered ({named}). "
        "Put them back as they were, or register the folder as a new version.",
        detail="\n".join(paths[:LISTED]),
    )


def file_sha256(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123 - a hot loop
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_content(read: int, write: int, size: int) -> None:
    """Copy between open files: small ones in one go, others by reflink where the file system can, else in the kernel.

    Args: file descriptors at their beginnings; size in bytes.
    """
    if size > _SMALL:
        try:
            fcntl.ioctl(write, _FICLONE, read)
            return
        except OSError:
            pass  # most file systems cannot
        try:
            while size > 0 and (copied := os.copy_file_range(read, write, size)):
                size -= copied
            return
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
                raise
    while piece := os.read(read, min(max(size, 1), _CHUNK)):
        size -= len(piece)
        view = memoryview(piece)
        while view:
            view = view[os.write(write, view) :]


def safe_target(root: str, path: str) -> str:
    """Where a manifest's path lies under `root`. Raises EmbeddingError for a path that would leave it."""
    if not path or path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise EmbeddingError("The manifest names a file outside its folder. It cannot be released.", detail=path)
    return f"{root}/{path}"


def put_in_place(data: bytes, target: str, draft: Path, mtime_ns: int, mode: int) -> None:
    """Appear at once under the final name, with the source's time and the permissions that its unwritten neighbours
    have: neither may tell written files apart."""
    os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
    draft.unlink(missing_ok=True)  # one that an earlier attempt left may be read-only
    draft.write_bytes(data)
    os.utime(draft, ns=(mtime_ns, mtime_ns))
    draft.chmod(mode)
    draft.replace(target)


def _linked(source: str, target: str) -> bool:
    """Whether `target` is a hard link to the source now; False where it cannot be, and then nothing lies there."""
    try:
        os.link(source, target)
    except FileExistsError:
        if os.path.samefile(source, target):  # noqa: PTH121 - a hot loop
            return True
        os.unlink(target)  # noqa: PTH108
        return _linked(source, target)
    except OSError as error:
        if error.errno in _NO_LINK:
            return False
        raise
    return True
