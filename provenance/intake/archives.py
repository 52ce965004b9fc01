"""What the streaming readers of zip, tar and tar.gz share. They open nothing for writing and believe nothing they read.

A reader yields ``Member``s in the archive's own order, each with its bytes or with the reason why it is not taken, and
a cursor from which a later run goes on (docs/decisions/0001-own-archive-readers.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from provenance.wording import count, file_size

from .errors import ArchiveError, Refused
from .images import sniff

Cursor = dict[str, Any]  # plain JSON

NOT_AN_ARCHIVE = "This file is not an archive that can be read here. Upload a zip, a tar or a tar.gz."


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may ask of us. Sizes in bytes, unpacked."""

    members: int = 5_000_000
    total: int = 500 << 30
    member: int = 256 << 20
    ratio: int = 200  # unpacked to packed, for anything larger than ``ratio_from``
    ratio_from: int = 1 << 20


@dataclass(frozen=True)
class Member:
    """One member: its number in the archive, its name as listed, and either ``data`` at ``path`` or ``refused``."""

    number: int
    name: str
    cursor: Cursor  # where the next member begins
    path: str = ""
    data: bytes = b""
    refused: Refused | None = None


class ArchiveReader(Protocol):
    """What the readers of all kinds have in common."""

    kind: str
    unit: str

    def members(self, cursor: Cursor | None = None, keep: frozenset[str] = frozenset()) -> Iterator[Member]:
        """Members from ``cursor`` on. Paths in ``keep`` are read although they are no images (a file of labels)."""

    def position(self) -> tuple[int, int]:
        """How much is behind us, and how much there is in all: in the reader's ``unit``."""

    def close(self) -> None: ...


class Tally:
    """Counts what the archive has asked for so far and stops it at the limits."""

    def __init__(self, limits: ArchiveLimits, members: int = 0, total: int = 0) -> None:
        self.limits = limits
        self.members = members
        self.total = total

    def count_member(self) -> int:
        """The number of the member that begins now."""
        if self.members >= self.limits.members:
            raise ArchiveError(f"The archive has more than {count(self.limits.members)} members; split it.")
        self.members += 1
        return self.members - 1

    def count_bytes(self, count: int) -> None:
        self.total += count
        if self.total > self.limits.total:
            raise ArchiveError(f"The archive unpacks to more than {file_size(self.limits.total)}, which is all it may.")

    def check_size(self, size: int, packed: int | None = None) -> None:
        """Raise ``Refused`` for a member too large in itself or packed too well to be an image."""
        if size > self.limits.member:
            raise Refused(f"larger than {self.limits.member:,} bytes")
        if packed is not None and size > self.limits.ratio_from and size > self.limits.ratio * max(packed, 1):
            raise Refused(f"packed more than {self.limits.ratio} to 1, as archive bombs are")


def refuse_foreign(path: str, data: bytes, keep: frozenset[str]) -> None:
    """Raise ``Refused`` for content that is no image of the allowed formats."""
    if path not in keep:
        sniff(data[:300])
