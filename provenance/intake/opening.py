"""From a file to the reader of its kind of archive."""

from pathlib import Path

from .archives import NOT_AN_ARCHIVE, ArchiveLimits, ArchiveReader
from .errors import ArchiveError
from .tars import TarReader
from .zips import ZipReader


def open_archive(path: Path, limits: ArchiveLimits | None = None) -> ArchiveReader:
    """The reader for the archive at ``path``, by its content, not its name. Raises ``ArchiveError``."""
    limits = limits or ArchiveLimits()
    try:
        with path.open("rb") as file:
            head = file.read(512)
            size = file.seek(0, 2)
    except OSError as error:
        raise ArchiveError(f"The archive cannot be opened: {error.strerror}.") from error
    if not head:
        raise ArchiveError("The archive is empty.")
    if head.startswith(b"\x1f\x8b"):
        return TarReader(path, limits, packed=True)
    if head[257:262] == b"ustar" or (len(head) == 512 and TarReader.plausible(head)):
        return TarReader(path, limits, packed=False)
    if head.startswith(b"PK") or ZipReader.plausible(path, size):
        return ZipReader(path, limits)
    if head.startswith((b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd")):
        raise ArchiveError("Archives of this kind are not read here. Upload a zip, a tar or a tar.gz.")
    raise ArchiveError(NOT_AN_ARCHIVE)
