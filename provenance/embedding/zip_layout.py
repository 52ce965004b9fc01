"""A release as a zip that is never on disk: any range of its bytes is made from the manifest and the files.

Stored members, fixed date 1980-01-01; PKWARE APPNOTE 6.3.10, with ZIP64 records wherever sizes, offsets or counts need
them (docs/architecture.md, "What lies on disk").
"""

import struct
import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

from provenance.embedding.beside import BesideFile
from provenance.embedding.errors import EmbeddingError
from provenance.intake.manifest import Entry, Manifest

PIECE = 1 << 18  # bytes yielded at a time
PAGE = 500  # members whose entries are read at a time

_LIMIT32, _LIMIT16 = 0xFFFFFFFF, 0xFFFF
_DATE, _TIME = 0x21, 0  # 1980-01-01 00:00
_UTF8 = 0x800
_PLAIN, _ZIP64 = 20, 45  # version needed
_UNIX, _MODE = 3, 0o100644 << 16


class RangeError(EmbeddingError):
    """The range of bytes that was asked for is not inside the archive."""


class DamagedReleaseError(EmbeddingError):
    """A file of the release is not there, or not of the size that the manifest says."""


class ZipLayout:
    """The archive of a manifest's files, in some 50 bytes of memory per file.

    manifest: of the release. files: folder of its files. top: folder inside the archive that holds all files. beside:
    files below `files` that are in no manifest, such as the captions' CSV; they come last.
    """

    def __init__(self, manifest: Manifest, files: Path, top: str = "", beside: Sequence[BesideFile] = ()) -> None:
        self._manifest = manifest
        self._beside = [(Entry(one.path, one.size, one.sha256, "", 0, 0, ""), one.crc32) for one in beside]
        self._count = len(manifest) + len(beside)
        self._files = Path(files)
        self._top = f"{top}/" if top else ""
        lengths, centrals = self._lengths()
        self._starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        self._central_lengths = centrals
        self._central_start = int(self._starts[-1])
        self._end_start = self._central_start + int(centrals.sum(dtype=np.int64))
        self._end = self._end_records()

    @property
    def size(self) -> int:
        """Bytes of the whole archive."""
        return self._end_start + len(self._end)

    def read_range(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` up to and without `stop`, in pieces of at most 256 KiB.

        Raises: RangeError at once for a range outside the archive; DamagedReleaseError while reading.
        """
        if not 0 <= start <= stop <= self.size:
            raise RangeError(f"The archive has {self.size} bytes; bytes {start} to {stop} are not all inside it.")
        return self._range(start, stop)

    def _range(self, start: int, stop: int) -> Iterator[bytes]:
        if start < self._central_start:
            yield from self._members(start, min(stop, self._central_start))
        if start < self._end_start and stop > self._central_start:
            yield from self._central(start - self._central_start, min(stop, self._end_start) - self._central_start)
        if stop > self._end_start:
            yield self._end[max(start - self._end_start, 0) : stop - self._end_start]

    def _members(self, start: int, stop: int) -> Iterator[bytes]:
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        for index, entry in self._entries(first):
            begin = int(self._starts[index])
            if begin >= stop:
                return
            header = self._local_header(index, entry)
            low, high = max(start - begin, 0), min(stop - begin, len(header) + entry.size)
            if low < len(header):
                yield header[low : min(high, len(header))]
            if high > len(header):
                yield from self._content(entry, max(low - len(header), 0), high - len(header))

    def _content(self, entry: Entry, low: int, high: int) -> Iterator[bytes]:
        try:
            with (self._files / entry.path).open("rb") as file:
                file.seek(low)
                while low < high and (piece := file.read(min(PIECE, high - low))):
                    low += len(piece)
                    yield piece
        except OSError as error:
            raise DamagedReleaseError(f"The file {entry.path} of this release cannot be read.") from error
        if low < high:
            raise DamagedReleaseError(f"The file {entry.path} of this release is shorter than its manifest says.")

    def _central(self, start: int, stop: int) -> Iterator[bytes]:
        """The central directory, without a table of its offsets: they are summed up page by page."""
        position = 0
        for page in range(0, len(self._central_lengths), PAGE):
            lengths = self._central_lengths[page : page + PAGE]
            total = int(lengths.sum(dtype=np.int64))
            if position + total > start and position < stop:
                starts = list(accumulate(lengths.tolist(), initial=position))
                skip = max(bisect_right(starts, start) - 1, 0)
                records = (self._central_record(i, e) for i, e in self._entries(page + skip, page + PAGE))
                blob = b"".join(records)
                yield blob[max(start - starts[skip], 0) : max(stop - starts[skip], 0)]
            position += total

    def _entries(self, first: int, stop: int | None = None) -> Iterator[tuple[int, Entry]]:
        stop = self._count if stop is None else min(stop, self._count)
        listed = min(stop, len(self._manifest))
        size = 8  # a range request may want one file only; a whole download soon reads full pages
        while first < listed:
            yield from enumerate(self._manifest.page(first, min(size, listed - first)), first)
            first += size
            size = min(size * 4, PAGE)
        for index in range(max(min(first, listed), len(self._manifest)), stop):
            yield index, self._beside[index - len(self._manifest)][0]

    def _crc32(self, index: int) -> int:
        listed = len(self._manifest)
        return self._manifest.crc32(index) if index < listed else self._beside[index - listed][1]

    def _name(self, entry: Entry) -> bytes:
        return (self._top + entry.path).encode("utf-8")

    def _local_header(self, index: int, entry: Entry) -> bytes:
        name = self._name(entry)
        extra = b"" if entry.size < _LIMIT32 else struct.pack("<HHQQ", 1, 16, entry.size, entry.size)
        size = _LIMIT32 if extra else entry.size
        needed = _ZIP64 if extra else _PLAIN
        crc = self._crc32(index)
        fields = (b"PK\x03\x04", needed, _UTF8, 0, _TIME, _DATE, crc, size, size, len(name), len(extra))
        return struct.pack("<4sHHHHHIIIHH", *fields) + name + extra

    def _central_record(self, index: int, entry: Entry) -> bytes:
        name, offset = self._name(entry), int(self._starts[index])
        values = [entry.size, entry.size] if entry.size >= _LIMIT32 else []
        values += [offset] if offset >= _LIMIT32 else []
        extra = struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values) if values else b""
        size = _LIMIT32 if entry.size >= _LIMIT32 else entry.size
        needed = _ZIP64 if values else _PLAIN
        made = _UNIX << 8 | needed
        crc = self._crc32(index)
        fields = (b"PK\x01\x02", made, needed, _UTF8, 0, _TIME, _DATE, crc, size, size, len(name), len(extra))
        return struct.pack("<4sHHHHHHIIIHHHHHII", *fields, 0, 0, 0, _MODE, min(offset, _LIMIT32)) + name + extra

    def _lengths(self) -> tuple[np.ndarray, np.ndarray]:
        """Bytes of every member with its header, and of every record in the central directory."""
        sizes, names = self._sizes_and_names(self._manifest.folder / "zip_lengths.bin")
        top = len(self._top.encode("utf-8"))
        large = sizes >= _LIMIT32
        members = 30 + names + top + sizes + 20 * large
        offsets = np.cumsum(members) - members
        far = offsets >= _LIMIT32
        centrals = 46 + names + top + 16 * large + 8 * far + 4 * (large | far)
        return members, centrals

    def _sizes_and_names(self, cache: Path) -> tuple[np.ndarray, np.ndarray]:
        """Bytes of every file and of its path, kept beside the manifest after the first pass over it."""
        count = len(self._manifest)
        if cache.exists() and cache.stat().st_size == 16 * count:
            table = np.fromfile(cache, dtype="<i8").reshape(count, 2)
        else:
            rows = ((entry.size, len(entry.path.encode("utf-8"))) for entry in self._manifest)
            table = np.fromiter(rows, dtype=np.dtype(("<i8", 2)), count=count)
            with tempfile.NamedTemporaryFile(dir=cache.parent, prefix=".zip_lengths", delete=False) as draft:
                draft.write(table.tobytes())
            Path(draft.name).replace(cache)  # two first downloads at once write the same bytes
        rest = [(entry.size, len(entry.path.encode("utf-8"))) for entry, _ in self._beside]
        table = np.concatenate([table, np.array(rest, dtype=np.int64).reshape(-1, 2)])
        return table[:, 0], table[:, 1]

    def _end_records(self) -> bytes:
        count, offset = self._count, self._central_start
        length = self._end_start - offset
        records = b""
        if count >= _LIMIT16 or offset >= _LIMIT32 or length >= _LIMIT32:
            made = _UNIX << 8 | _ZIP64
            fields = (b"PK\x06\x06", 44, made, _ZIP64, 0, 0, count, count, length, offset)
            records += struct.pack("<4sQHHIIQQQQ", *fields)
            records += struct.pack("<4sIQI", b"PK\x06\x07", 0, self._end_start, 1)
        few = min(count, _LIMIT16)
        tail = (b"PK\x05\x06", 0, 0, few, few, min(length, _LIMIT32), min(offset, _LIMIT32), 0)
        return records + struct.pack("<4sHHHHIIH", *tail)
