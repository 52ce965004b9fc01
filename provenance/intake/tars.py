"""Tar archives (ustar, GNU and pax), plain or gzip-packed, read front to back."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .archives import NOT_AN_ARCHIVE, ArchiveLimits, Cursor, Member, Tally, refuse_foreign
from .errors import ArchiveError, Refused
from .paths import safe_path, shown

_BLOCK = 512
_HEADER_CAP = 1 << 20  # bytes of one pax or long-name header
_PIECE = 1 << 18

_CUT = "The archive ends in the middle of a member. Is the upload complete?"
_BROKEN = "The tar archive is damaged: {}. Make it again, or check that the upload is complete."
_REFUSED_KINDS = {
    b"1": "a link",
    b"2": "a link",
    b"3": "neither file nor folder (a device, pipe or socket)",
    b"4": "neither file nor folder (a device, pipe or socket)",
    b"6": "neither file nor folder (a device, pipe or socket)",
    b"S": "a sparse file",
    b"M": "a part of a file that continues in another archive",
}
_WITHOUT_CONTENT = {b"1", b"2", b"3", b"4", b"5", b"6"}  # whatever size their headers state


class _Plain:
    """Bytes of an unpacked tar, with seeking."""

    def __init__(self, path: Path, at: int) -> None:
        self._file = path.open("rb")
        self.size = self._file.seek(0, 2)
        self._file.seek(at)
        self.at = at

    def read(self, count: int) -> bytes:
        data = self._file.read(count)
        self.at += len(data)
        return data

    def skip(self, count: int) -> None:
        if self.at + count > self.size:
            raise ArchiveError(_CUT)
        self._file.seek(count, 1)
        self.at += count

    def behind(self) -> int:
        return self.at

    def close(self) -> None:
        self._file.close()


class _Gzip:
    """Bytes of a gzip-packed tar; stops a bomb by the ratio of what came out to what went in."""

    def __init__(self, path: Path, at: int, limits: ArchiveLimits) -> None:
        self._file = path.open("rb")
        self.size = path.stat().st_size
        self._limits = limits
        self._inflater = zlib.decompressobj(31)
        self._buffer = bytearray()
        self._out = 0
        self.at = 0
        self.skip(at)

    def read(self, count: int) -> bytes:
        while len(self._buffer) < count and self._fill():
            pass
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        self.at += len(data)
        return data

    def skip(self, count: int) -> None:
        while count:
            piece = self.read(min(count, _PIECE))
            if not piece:
                raise ArchiveError(_CUT)
            count -= len(piece)

    def _fill(self) -> bool:
        """Unpack one more piece; False at the end of the last gzip member."""
        if self._inflater.eof:
            packed = self._inflater.unused_data
            if len(packed) < 2:
                packed += self._file.read(_PIECE)
            if not packed.startswith(b"\x1f\x8b"):  # the end, or padding behind it
                return False
            self._inflater = zlib.decompressobj(31)
        else:
            packed = self._inflater.unconsumed_tail or self._file.read(_PIECE)
            if not packed:
                raise ArchiveError(_CUT)
        try:
            data = self._inflater.decompress(packed, _PIECE)
        except zlib.error:
            raise ArchiveError(_BROKEN.format("it cannot be unpacked")) from None
        self._out += len(data)
        if self._out > max(self._limits.ratio * self._file.tell(), 16 << 20):
            raise ArchiveError(f"The archive is packed more than {self._limits.ratio} to 1, as archive bombs are.")
        self._buffer += data
        return True

    def behind(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


@dataclass
class _Pending:
    """What extension headers say about the member that follows them."""

    name: bytes | None = None
    size: int | None = None
    sparse: bool = False


class TarReader:
    """Reads a tar from front to back."""

    def __init__(self, path: Path, limits: ArchiveLimits, *, packed: bool) -> None:
        self.kind = "tar.gz" if packed else "tar"
        self.unit = "bytes"
        self._path = path
        self._limits = limits
        self._packed = packed
        self._stream: _Plain | _Gzip = self._open(0)

    def _open(self, at: int) -> _Plain | _Gzip:
        return _Gzip(self._path, at, self._limits) if self._packed else _Plain(self._path, at)

    @staticmethod
    def plausible(head: bytes) -> bool:
        """Whether a block of 512 bytes has a tar header's checksum (tars older than ustar have no magic)."""
        return any(head) and _checksum_matches(head)

    def close(self) -> None:
        self._stream.close()

    def position(self) -> tuple[int, int]:
        return self._stream.behind(), self._stream.size

    def members(self, cursor: Cursor | None = None, keep: frozenset[str] = frozenset()) -> Iterator[Member]:
        state = cursor or {"at": 0, "members": 0, "total": 0}
        tally = Tally(self._limits, state["members"], state["total"])
        self._stream.close()
        self._stream = self._open(state["at"])
        pending = _Pending()
        while (header := self._header()) is not None:
            kind, size = header[156:157], _number(header[124:136])
            if kind in (b"x", b"g", b"L", b"K"):
                self._extension(kind, size, pending)
                tally.count_bytes(size)
                continue
            number = tally.count_member()
            raw = pending.name if pending.name is not None else _name(header)
            size = 0 if kind in _WITHOUT_CONTENT else size if pending.size is None else pending.size
            sparse, pending = pending.sparse, _Pending()
            is_folder = kind == b"5" or (kind in (b"0", b"\0") and raw.endswith(b"/"))
            tally.count_bytes(size)
            path, data, refusal = "", b"", None
            try:
                path = self._allowed_path(raw, b"S" if sparse else kind, size, tally)
            except Refused as error:
                refusal = error
            if refusal or is_folder:
                self._stream.skip(size + -size % _BLOCK)
            else:
                data = self._content(size)
                try:
                    refuse_foreign(path, data, keep)
                except Refused as error:
                    refusal, data = error, b""
            after = {"at": self._stream.at, "members": tally.members, "total": tally.total}
            if not is_folder:
                yield Member(number, shown(raw), after, path, data, refusal)

    @staticmethod
    def _allowed_path(raw: bytes, kind: bytes, size: int, tally: Tally) -> str:
        if kind in _REFUSED_KINDS:
            raise Refused(_REFUSED_KINDS[kind])
        tally.check_size(size)
        return safe_path(raw.decode("utf-8", "surrogateescape"))

    def _content(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise ArchiveError(_CUT)
        self._stream.skip(-size % _BLOCK)
        return data

    def _header(self) -> bytes | None:
        header = self._stream.read(_BLOCK)
        if not header:
            if self._stream.at == 0:
                raise ArchiveError(NOT_AN_ARCHIVE)
            return None
        if len(header) < _BLOCK:
            raise ArchiveError(_CUT)
        if not any(header):
            return None
        if not _checksum_matches(header):
            raise ArchiveError(
                NOT_AN_ARCHIVE if self._stream.at == _BLOCK else _BROKEN.format("a member's header is garbled")
            )
        return header

    def _extension(self, kind: bytes, size: int, pending: _Pending) -> None:
        if size > _HEADER_CAP:
            raise ArchiveError(_BROKEN.format("a header is larger than any file name needs"))
        body = self._content(size)
        if kind == b"L":
            pending.name = body.rstrip(b"\0")
        elif kind == b"x":
            fields = _pax(body)
            pending.name = fields.get(b"path", pending.name)
            if b"size" in fields:
                pending.size = _decimal(fields[b"size"])
            pending.sparse |= any(key.startswith(b"GNU.sparse") for key in fields)
        # Global headers (g) carry dates and comments; a path or size for all members makes no sense. K names a link.


def _checksum_matches(header: bytes) -> bool:
    try:
        stated = _number(header[148:156])
    except ArchiveError:
        return False
    return stated == sum(header) - sum(header[148:156]) + 8 * 0x20


def _number(raw: bytes) -> int:
    """A tar's number: octal digits, or base 256 where the first bit is set."""
    if raw[0] & 0x80:
        value = int.from_bytes(raw, "big") & ((1 << (8 * len(raw) - 1)) - 1)
        if raw[0] & 0x40 or value >= 1 << 62:
            raise ArchiveError(_BROKEN.format("a size makes no sense"))
        return value
    text = raw.split(b"\0", 1)[0].strip()
    if text and not (text.isdigit() and text.translate(None, b"01234567") == b""):
        raise ArchiveError(_BROKEN.format("a number is garbled"))
    return int(text or b"0", 8)


def _decimal(raw: bytes) -> int:
    if not raw.isdigit() or len(raw) > 18:
        raise ArchiveError(_BROKEN.format("a size makes no sense"))
    return int(raw)


def _name(header: bytes) -> bytes:
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _pax(body: bytes) -> dict[bytes, bytes]:
    """Fields of a pax header: records of the form ``length key=value`` and a newline."""
    fields, at = {}, 0
    while at < len(body) and body[at]:
        space = body.find(b" ", at, at + 20)
        length = _decimal(body[at:space]) if space > at else 0
        record = body[space + 1 : at + length]
        if length <= space - at or not record.endswith(b"\n") or b"=" not in record:
            raise ArchiveError(_BROKEN.format("an extended header is garbled"))
        key, value = record[:-1].split(b"=", 1)
        fields[key] = value
        at += length
    return fields
