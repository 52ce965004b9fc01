"""A file with other metadata: parts exchanged or left out, lengths and checksums counted anew, all else as it was."""

import struct
import zlib
from collections.abc import Callable

from provenance.embedding.errors import NotMarkableError
from provenance.intake.parts import BEHIND, REST, Part, parts_of

MOST_OF_SEGMENT = 0xFFFF - 2  # bytes that a JPEG's segment can hold
_XMP_FLAG = 0x04  # of WebP's VP8X

Change = Callable[[Part, bytes], bytes | None]  # what a part shall say instead of its bytes; None leaves it out


def with_parts(data: bytes, change: Change) -> bytes:
    """The file with every part as `change` has it; `data` itself where nothing changes.

    Raises NotMarkableError where a part grows beyond what its format can hold.
    """
    written, same, behind = [], True, 0
    for part in parts_of(data):
        before = data[part.body : part.stop]
        after = before if part.kind == REST else change(part, before)
        behind += len(after or b"") if part.kind == BEHIND else 0
        if after == before:
            written.append(data[part.start : part.end])
            continue
        same = False
        if after is not None:
            written.append(_part_with(data, part, after))
    if same:
        return data
    whole = b"".join(written)
    return _with_riff_size(whole, len(whole) - 8 - behind) if data.startswith(b"RIFF") else whole


def _part_with(data: bytes, part: Part, payload: bytes) -> bytes:
    if part.start == part.body:  # no chunk, no segment
        return payload
    if data.startswith(b"\xff\xd8"):
        if len(payload) > MOST_OF_SEGMENT:
            raise NotMarkableError("A picture in its metadata, drawn anew, does not fit into them.")
        return data[part.start : part.body - 2] + struct.pack(">H", len(payload) + 2) + payload
    name = part.kind.encode("latin-1")
    if data.startswith(b"RIFF"):
        return name + struct.pack("<I", len(payload)) + payload + bytes(len(payload) & 1)
    return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(payload, zlib.crc32(name)))


def _with_riff_size(data: bytes, size: int) -> bytes:
    """The file saying its size, and that it has no XMP where it has none."""
    sized = bytearray(data[:4] + struct.pack("<I", size) + data[8:])
    parts = parts_of(bytes(sized))
    if not any(part.kind == "XMP " for part in parts):
        for part in parts:
            if part.kind == "VP8X" and part.stop > part.body:
                sized[part.body] &= ~_XMP_FLAG & 0xFF
    return bytes(sized)
