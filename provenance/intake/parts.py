"""The parts of an image file, one after the other: segments of a JPEG, chunks of a PNG or WebP, and what lies behind.

Nothing is decoded and nothing is refused: where the structure ends to make sense, the rest is one part. The parts of
any bytes, put together, are those bytes.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

BEHIND = "behind"  # bytes behind the image's end
SCANS = "scans"  # of a JPEG, from the first scan to the end marker
REST = "the rest"  # of a damaged structure

JPEG_START = b"\xff\xd8\xff"  # entropy-coded data holds none
JPEG_END = b"\xff\xd9"
_LARGE = 1 << 12  # bytes
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # entropy-coded data holds none
_SOS, _EOI, _SOI, _TEM = 0xDA, 0xD9, 0xD8, 0x01


class Part(NamedTuple):
    """`start` to `end` is all of it, `body` to `stop` what it says: without marker, length, type and checksum.

    kind: "APP1", "COM" or the marker in hex in a JPEG; a chunk's type in PNG and WebP; "" for what opens the file.
    """

    kind: str
    start: int
    body: int
    stop: int
    end: int


def parts_of(data: bytes) -> list[Part]:
    """The parts of a JPEG, PNG or WebP; anything else is one part."""
    if data.startswith(b"\xff\xd8"):
        found = _segments(data)
    elif data.startswith(b"\x89PNG\r\n\x1a\n"):
        found = _png_chunks(data)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        found = _riff_chunks(data)
    else:
        found = iter(())
    parts = list(found)
    at = parts[-1].end if parts else 0
    return [*parts, Part(REST, at, at, len(data), len(data))] if at < len(data) else parts


def _whole(kind: str, start: int, end: int) -> Part:
    return Part(kind, start, start, end, end)


def _segments(data: bytes) -> Iterator[Part]:
    yield _whole("", 0, 2)
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker_at = at + 1
        while marker_at < len(data) and data[marker_at] == 0xFF:  # fill bytes
            marker_at += 1
        if marker_at + 3 > len(data):
            return
        marker, body = data[marker_at], marker_at + 3
        if marker in (0x00, _TEM, _SOI, _EOI) or 0xD0 <= marker <= 0xD7:
            return
        if marker == _SOS:
            plain = data.endswith(JPEG_END) and not has_second_start(data, at)
            end = len(data) if plain else end_of_scans(data, at)
            yield _whole(SCANS, at, end)
            if end < len(data):
                yield _whole(BEHIND, end, len(data))
            return
        end = marker_at + 1 + (data[marker_at + 1] << 8 | data[marker_at + 2])
        if end < body or end > len(data):
            return
        yield Part(_segment_kind(marker), at, body, end, end)
        at = end


def has_second_start(data: bytes, at: int) -> bool:
    """Whether another JPEG may lie behind the scans of one, which begin at `at`."""
    if len(data) - at > _LARGE and not any(_holds_start(data, first) for first in (at, at + 1)):
        return False
    return data.find(JPEG_START, at) >= 0


def _holds_start(data: bytes, at: int) -> bool:
    """Whether FF D8 stands at an even distance from `at`: in noise far faster than Python's search."""
    pairs = np.frombuffer(data, dtype="<u2", count=(len(data) - at) // 2, offset=at)
    return bool((pairs == 0xD8FF).any())


def _segment_kind(marker: int) -> str:
    if 0xE0 <= marker <= 0xEF:
        return f"APP{marker - 0xE0}"
    return "COM" if marker == 0xFE else f"{marker:02X}"


def end_of_scans(data: bytes, at: int) -> int:
    """Where a JPEG ends whose segments lead to a marker at `at`: behind its end marker, or with the data."""
    while found := _NEXT_MARKER.search(data, at):
        at, marker = found.end(), data[found.end() - 1]
        if marker == _EOI:
            return at
        if marker not in (_TEM, _SOI):
            at += data[at] << 8 | data[at + 1] if at + 2 <= len(data) else 2
    return len(data)


def _png_chunks(data: bytes) -> Iterator[Part]:
    yield _whole("", 0, 8)
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            return
        yield Part(kind.decode("latin-1"), at, at + 8, end - 4, end)
        at = end
        if kind == b"IEND":
            if at < len(data):
                yield _whole(BEHIND, at, len(data))
            return


def _riff_chunks(data: bytes) -> Iterator[Part]:
    yield _whole("", 0, 12)
    at, last = 12, min(8 + int.from_bytes(data[4:8], "little"), len(data))
    while at + 8 <= last:
        kind, length = struct.unpack_from("<4sI", data, at)
        stop = at + 8 + length
        if stop > last:
            return
        end = min(stop + (length & 1), last)
        yield Part(kind.decode("latin-1"), at, at + 8, stop, end)
        at = end
    if last <= at < len(data):
        yield _whole(BEHIND, at, len(data))
