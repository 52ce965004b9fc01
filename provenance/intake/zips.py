"""Zip archives, read member by member through the central directory without loading it whole."""

import os
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .archives import ArchiveLimits, Cursor, Member, Tally, refuse_foreign
from .errors import ArchiveError, Refused
from .paths import safe_path, shown

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s4B4HL2L5H2L")
_LOCAL = struct.Struct("<4s2B4HL2L2H")
_WINDOW = 1 << 20

_BROKEN = "The zip archive is damaged: {}. Make it again, or check that the upload is complete."


@dataclass(frozen=True)
class _Central:
    """One entry of the central directory."""

    raw: bytes
    made_on: int
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    attributes: int
    offset: int
    length: int  # of the entry itself


class ZipReader:
    """Reads a zip by its central directory, in its order."""

    kind = "zip"
    unit = "members"

    def __init__(self, path: Path, limits: ArchiveLimits) -> None:
        self._file = path.open("rb")
        self._fd = self._file.fileno()
        self._limits = limits
        self._size = os.fstat(self._fd).st_size
        self._behind = 0
        try:
            self._start, self._length, self._shift, self._count = self._find_directory()
        except BaseException:
            self._file.close()
            raise

    @staticmethod
    def plausible(path: Path, size: int) -> bool:
        """Whether a zip's end record is there although the file does not begin like one (self-extractors)."""
        with path.open("rb") as file:
            file.seek(max(0, size - 66_000))
            return b"PK\x05\x06" in file.read()

    def close(self) -> None:
        self._file.close()

    def position(self) -> tuple[int, int]:
        return self._behind, max(self._count, self._behind)

    def _find_directory(self) -> tuple[int, int, int, int]:
        """(start of the central directory in the file, its length, bytes in front of the zip, members it states)."""
        tail_start = max(0, self._size - 65_557)
        tail = os.pread(self._fd, self._size - tail_start, tail_start)
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or at + _END.size > len(tail):
            raise ArchiveError(_BROKEN.format("its directory is missing"))
        _, disk, first_disk, _, count, length, start, _ = _END.unpack_from(tail, at)
        end = tail_start + at
        if (disk, first_disk) not in ((0, 0), (0xFFFF, 0xFFFF)):
            raise ArchiveError("The zip is one part of a split archive. Join the parts first.")
        locator = os.pread(self._fd, _LOCATOR64.size, max(0, end - _LOCATOR64.size))
        if 0xFFFFFFFF in (length, start) or locator.startswith(b"PK\x06\x07"):
            if not locator.startswith(b"PK\x06\x07"):
                raise ArchiveError(_BROKEN.format("its directory is missing"))
            record = os.pread(self._fd, _END64.size, _LOCATOR64.unpack(locator)[2])
            if len(record) < _END64.size or not record.startswith(b"PK\x06\x06"):
                raise ArchiveError(_BROKEN.format("its large-file record is missing"))
            *_, count, length, start = _END64.unpack(record)
            end = _LOCATOR64.unpack(locator)[2]
        shift = end - length - start
        if shift < 0 or end > self._size:
            raise ArchiveError(_BROKEN.format("its directory lies outside the file"))
        return start + shift, length, shift, count

    def members(self, cursor: Cursor | None = None, keep: frozenset[str] = frozenset()) -> Iterator[Member]:
        state = cursor or {"at": 0, "members": 0, "total": 0, "packed": 0}
        tally = Tally(self._limits, state["members"], state["total"])
        at, packed = state["at"], state["packed"]
        for entry in self._directory(at):
            number = tally.count_member()
            at += entry.length
            # Overlapping members are how a small zip unpacks to petabytes: honest ones fit in the file side by side.
            packed += entry.packed + _LOCAL.size + len(entry.raw)
            self._behind = tally.members
            after = {"at": at, "members": tally.members, "total": tally.total, "packed": packed}
            name = self._name(entry)
            if name.endswith("/") and not entry.size:
                continue
            try:
                if packed > self._start:
                    raise Refused("overlaps other members, as archive bombs do")
                path = safe_path(name)
                data = self._read(entry, tally)
                refuse_foreign(path, data, keep)
            except Refused as refusal:
                after["total"] = tally.total
                yield Member(number, shown(name), after, refused=refusal)
            else:
                after["total"] = tally.total
                yield Member(number, shown(name), after, path=path, data=data)

    def _directory(self, at: int) -> Iterator[_Central]:
        window, base = b"", at
        while at < self._length:
            if at - base + _CENTRAL.size > len(window) or self._entry_end(window, at - base) > len(window):
                base = at
                window = os.pread(self._fd, min(_WINDOW, self._length - at), self._start + at)
            entry = self._parse(window, at - base)
            at += entry.length
            yield entry

    @staticmethod
    def _entry_end(window: bytes, at: int) -> int:
        name, extra, comment = struct.unpack_from("<3H", window, at + 28)
        return int(at + _CENTRAL.size + name + extra + comment)

    @staticmethod
    def _parse(window: bytes, at: int) -> _Central:
        try:
            fields = _CENTRAL.unpack_from(window, at)
        except struct.error:
            raise ArchiveError(_BROKEN.format("its directory ends early")) from None
        signature, _, made_on, _, _, flags, method, _, _, crc, packed, size, n, e, c, _, _, attributes, offset = fields
        if signature != b"PK\x01\x02" or at + _CENTRAL.size + n + e + c > len(window):
            raise ArchiveError(_BROKEN.format("its directory is garbled"))
        name_at = at + _CENTRAL.size
        extra = window[name_at + n : name_at + n + e]
        if 0xFFFFFFFF in (packed, size, offset):
            size, packed, offset = _zip64(extra, size, packed, offset)
        raw = window[name_at : name_at + n]
        length = _CENTRAL.size + n + e + c
        return _Central(raw, made_on, flags, method, crc, packed, size, attributes, offset, length)

    @staticmethod
    def _name(entry: _Central) -> str:
        # Many tools write UTF-8 without saying so; names that are not UTF-8 are code page 437 by the format's rules.
        try:
            name = entry.raw.decode("utf-8")
        except UnicodeDecodeError:
            encoding = "utf-8" if entry.flags & 0x800 else "cp437"
            name = entry.raw.decode(encoding, "surrogateescape")
        if entry.made_on in (0, 10, 11) and "/" not in name:
            name = name.replace("\\", "/")  # some Windows tools separate folders the Windows way
        return name

    def _read(self, entry: _Central, tally: Tally) -> bytes:
        mode = entry.attributes >> 16
        if entry.made_on == 3 and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise Refused("a link" if stat.S_ISLNK(mode) else "neither file nor folder (a device, pipe or socket)")
        if entry.flags & 0x41:
            raise Refused("encrypted")
        if entry.method not in (0, 8):
            raise Refused("packed by a method that is not read here; use deflate")
        if entry.method == 0 and entry.packed != entry.size:
            raise Refused("damaged: its two sizes disagree")
        tally.check_size(entry.size, entry.packed)
        tally.check_size(entry.packed)
        tally.count_bytes(entry.size)
        # Name and extra field of the local header may differ from the directory's; most often one read gets it all.
        offset = entry.offset + self._shift
        piece = os.pread(self._fd, _LOCAL.size + len(entry.raw) + 64 + entry.packed, offset)
        if len(piece) < _LOCAL.size or not piece.startswith(b"PK\x03\x04"):
            raise Refused("damaged: its data is not where the directory says")
        name, extra = struct.unpack_from("<2H", piece, 26)
        start = _LOCAL.size + name + extra
        packed = piece[start : start + entry.packed]
        if len(packed) < entry.packed:
            packed = os.pread(self._fd, entry.packed, offset + start)
        if len(packed) < entry.packed or offset + start + entry.packed > self._start:
            raise Refused("damaged: its data is cut off")
        data = packed if entry.method == 0 else _inflate(packed, entry.size)
        if zlib.crc32(data) != entry.crc:
            raise Refused("damaged: its checksum does not match")
        return data


def _inflate(packed: bytes, size: int) -> bytes:
    inflater = zlib.decompressobj(-15)
    try:
        data = inflater.decompress(packed, size + 1)
    except zlib.error:
        raise Refused("damaged: it cannot be unpacked") from None
    if len(data) != size or (not inflater.eof and inflater.decompress(inflater.unconsumed_tail, 1)):
        raise Refused("damaged: it does not unpack to the size that is stated")
    return data


def _zip64(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            body = extra[at + 4 : at + 4 + length]
            values = [body[i : i + 8] for i in range(0, len(body) // 8 * 8, 8)]
            numbers = iter(int.from_bytes(value, "little") for value in values)
            try:
                size = next(numbers) if size == 0xFFFFFFFF else size
                packed = next(numbers) if packed == 0xFFFFFFFF else packed
                offset = next(numbers) if offset == 0xFFFFFFFF else offset
            except StopIteration:
                break
            return size, packed, offset
        at += 4 + length
    raise ArchiveError(_BROKEN.format("a large-file field is missing"))
