"""A manifest on disk: what it holds, and reading it by page, by path, by text, and with proofs.

A manifest is a folder; its files: docs/architecture.md, "What lies on disk".
"""

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from provenance.canonical import canonical_json

from .errors import ManifestError
from .merkle import MerkleTree

_CHUNK = 1 << 20
_DIGEST_FIELD = b'"sha256":"'
_DECODER = json.JSONDecoder()  # raw_decode skips the search for encodings and blanks, which our own lines lack


@dataclass(frozen=True, slots=True)
class Entry:
    """One file. ``size`` in bytes, ``width`` and ``height`` in pixels as stored (before EXIF orientation).

    ``mode`` is Pillow's name of the pixel layout, ``bits`` per channel (8 or 16), ``orientation`` the EXIF value.
    """

    path: str
    size: int
    sha256: str
    format: str
    width: int
    height: int
    mode: str
    label: str | None = None
    caption: str | None = None
    orientation: int = 1
    bits: int = 8

    def line(self) -> bytes:
        """The canonical JSON line without newline: the leaf's data. Absent and usual values are left out."""
        # asdict() would copy every value deeply, at five times the cost.
        record = {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}
        if self.orientation == 1:
            del record["orientation"]
        if self.bits == 8:
            del record["bits"]
        return canonical_json(record)

    @classmethod
    def parse(cls, line: bytes) -> "Entry":
        """The entry of a line; raises ``ManifestError`` for anything that is none."""
        try:
            text = line.decode("utf-8")
            record, end = _DECODER.raw_decode(text)
            if end != len(text):
                raise ValueError("more than one value in a line")
            return cls(**record)
        except (ValueError, TypeError) as error:
            raise ManifestError("The manifest holds a line that is no entry.") from error


def content_of(line: bytes) -> bytes:
    """The content's SHA-256 in hex, cut out of a manifest's line: parsing a million of them would take many seconds.

    Quotes inside a path or a caption are escaped, so the name of the field stands in a line once.
    """
    at = line.index(_DIGEST_FIELD) + len(_DIGEST_FIELD)
    return line[at : at + 64]


class Lines:
    """Random access to the lines of a file through a file of offsets. Safe for several threads."""

    def __init__(self, lines: Path, offsets: Path) -> None:
        self._lines = lines.open("rb")
        self._offsets = offsets.open("rb")
        self._end = os.fstat(self._lines.fileno()).st_size
        self._count = os.fstat(self._offsets.fileno()).st_size // 8

    def __len__(self) -> int:
        return self._count

    def page(self, start: int, count: int) -> list[bytes]:
        start = max(0, start)
        stop = min(start + max(0, count), self._count)
        if start >= stop:
            return []
        raw = os.pread(self._offsets.fileno(), (stop - start + 1) * 8, start * 8)
        bounds = [*struct.unpack(f"<{len(raw) // 8}Q", raw)]
        if stop == self._count:
            bounds.append(self._end)
        text = os.pread(self._lines.fileno(), bounds[-1] - bounds[0], bounds[0])
        return [text[a - bounds[0] : b - bounds[0] - 1] for a, b in pairwise(bounds)]

    def __iter__(self) -> Iterator[bytes]:
        rest, at = b"", 0
        while piece := os.pread(self._lines.fileno(), _CHUNK, at):
            at += len(piece)
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole

    def close(self) -> None:
        self._lines.close()
        self._offsets.close()


class Manifest:
    """Reads the manifest in ``folder``. Opens its files once; use it as a context manager or call ``close``."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        try:
            self.facts: dict[str, Any] = json.loads((self.folder / "facts.json").read_bytes())
            self._lines = Lines(self.folder / "manifest.jsonl", self.folder / "offsets.bin")
        except (OSError, ValueError) as error:
            raise ManifestError("The manifest is not there or not whole.") from error
        if len(self._lines) != self.facts["files"]:
            raise ManifestError("The manifest's files disagree about how many entries there are.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._lines.close()

    @property
    def root(self) -> str:
        """The Merkle root, hexadecimal."""
        return str(self.facts["root"])

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[Entry]:
        return map(Entry.parse, self._lines)

    def lines(self) -> Iterator[bytes]:
        """The lines in order, without newline."""
        return iter(self._lines)

    def line(self, index: int) -> bytes:
        """Line number ``index``: the data of its leaf. Raises ``IndexError``."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._lines.page(index, 1)[0]

    def entry(self, index: int) -> Entry:
        """Entry number ``index``. Raises ``IndexError``."""
        return Entry.parse(self.line(index))

    def page(self, start: int, count: int) -> list[Entry]:
        """Up to ``count`` entries from ``start`` on; fewer at the end."""
        return [Entry.parse(line) for line in self._lines.page(start, count)]

    def find(self, path: str) -> int | None:
        """Index of the entry with exactly this path, in O(log n) reads."""
        wanted = path.encode("utf-8", "surrogatepass")
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self.entry(middle).path.encode() < wanted:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self) and self.entry(low).path == path else None

    def search(self, text: str, start: int = 0, count: int = 50) -> list[tuple[int, Entry]]:
        """Matches number ``start`` to ``start + count``: index and entry, in order.

        A match holds ``text``, in upper or lower case, in its path, label or caption, or begins its SHA-256 with it.
        One pass over the file; it ends as soon as the page is full. Ask for one more than a page to see whether
        there are more.
        """
        wanted = text.casefold()
        # ASCII lines are asked raw first: JSON leaves text as it is but for quotes and backslashes.
        quick = wanted.encode("utf-8", "surrogatepass") if text.isascii() and not set(text) & {'"', "\\"} else b""
        found: list[tuple[int, Entry]] = []
        for index, line in enumerate(self._lines):
            if line.isascii() and quick not in line.lower():
                continue
            entry = Entry.parse(line)
            fields = (entry.path, entry.label or "", entry.caption or "")
            if any(wanted in field.casefold() for field in fields) or entry.sha256.startswith(wanted):
                if start > 0:
                    start -= 1
                    continue
                found.append((index, entry))
                if len(found) >= count:
                    break
        return found

    def proof(self, index: int) -> list[bytes]:
        """Inclusion proof of entry ``index``: sibling hashes of 32 bytes, lowest first. Raises ``IndexError``."""
        return self._tree.inclusion_proof(index)

    @cached_property
    def _tree(self) -> MerkleTree:
        return MerkleTree(self.folder / "tree.bin", len(self))

    def crc32(self, index: int) -> int:
        """CRC-32 of the content of file ``index``."""
        return self._number("crc32.bin", "<I", index)

    def mtime_ns(self, index: int) -> int:
        """Modification time of file ``index`` when it was read, in nanoseconds."""
        return self._number("mtimes.bin", "<q", index)

    def _number(self, name: str, layout: str, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(index)
        width = struct.calcsize(layout)
        with (self.folder / name).open("rb") as file:
            return int(struct.unpack(layout, os.pread(file.fileno(), width, index * width))[0])

    def refused(self, start: int = 0, count: int = 50) -> list[dict[str, str]]:
        """What was not taken, in order of path: dictionaries of ``path``, ``reason`` and ``outcome``."""
        lines = Lines(self.folder / "refused.jsonl", self.folder / "refused.bin")
        try:
            return [json.loads(line) for line in lines.page(start, count)]
        finally:
            lines.close()

    def duplicates(self) -> Iterator[dict[str, str]]:
        """Every exact copy: ``path``, ``sha256`` and ``first``, the path whose content it repeats."""
        with (self.folder / "duplicates.jsonl").open("rb") as file:
            yield from map(json.loads, file)
