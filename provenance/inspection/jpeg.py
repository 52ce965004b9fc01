"""What a JPEG's structure tells: markers, tables, sampling, scans, segments beside the picture."""

import hashlib
import io
import re
import struct
from dataclasses import dataclass, field
from functools import cache

from PIL import Image

from provenance.inspection.features import Features, Rooms, digest_of

_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_DHT, _EOI, _SOS, _DQT, _DRI, _COMMENT = 0xC4, 0xD9, 0xDA, 0xDB, 0xDD, 0xFE
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_KINDS = {  # application segments by what they begin with
    b"JFIF\0": "JFIF", b"JFXX\0": "JFXX", b"Exif\0\0": "EXIF", b"http://ns.adobe.com/xap/": "XMP",
    b"http://ns.adobe.com/xmp/extension": "XMP extension", b"ICC_PROFILE\0": "ICC", b"MPF\0": "MPF",
    b"Photoshop 3.0\0": "Photoshop", b"Adobe": "Adobe", b"JP": "JUMBF",
}  # fmt: skip


@dataclass
class Walk:
    """A JPEG's segments in order as (marker, payload), and what lies outside of them."""

    segments: list[tuple[int, bytes]] = field(default_factory=list)
    scan_bytes: int = 0
    restarts: int = 0
    fill: int = 0  # bytes 0xFF before a marker that need not be there
    behind: int = 0  # bytes behind the end marker; all of them where there is none

    def of(self, *markers: int) -> list[bytes]:
        return [payload for marker, payload in self.segments if marker in markers]


def walk(data: bytes) -> Walk:
    """All segments from start to end marker, scans included. Raises ValueError where they are damaged."""
    found, at = Walk(), 2
    while at < len(data):
        if data[at] != 0xFF:
            raise ValueError("no marker where one must be")
        while data[at + 1] == 0xFF:
            at, found.fill = at + 1, found.fill + 1
        marker = data[at + 1]
        if marker == _EOI:
            found.segments.append((marker, b""))
            found.behind = len(data) - at - 2
            return found
        length = 0 if marker in _ALONE else struct.unpack_from(">H", data, at + 2)[0]
        found.segments.append((marker, data[at + 4 : at + 2 + length]))
        at += 2 + length
        if marker == _SOS:
            ended = _END_OF_SCAN.search(data, at)
            stop = ended.start() if ended else len(data)
            found.scan_bytes += stop - at
            found.restarts += sum(1 for _ in _RESTART.finditer(data, at, stop))
            at = stop
    return found


def jpeg_features(data: bytes) -> Rooms:
    """Segments, frame and tables of one file. Raises ValueError, IndexError or struct.error where it is damaged."""
    found = walk(data)
    features: Features = {
        "markers": " ".join(_name(marker, payload) for marker, payload in found.segments),
        "scans": digest_of(*found.of(_SOS)),
        "number of scans": len(found.of(_SOS)),
        "restart interval": max((struct.unpack(">H", one[:2])[0] for one in found.of(_DRI)), default=0),
        "restart markers": found.restarts,
        "fill bytes": found.fill,
        "bytes behind the end": found.behind,
        "bytes in segments": sum(len(payload) + 4 for marker, payload in found.segments if marker != _DHT),
    }
    features |= _frame(found) | _tables(found)
    for marker, payload in found.segments:
        if marker == _COMMENT or 0xE0 <= marker <= 0xEF:
            name = _name(marker, payload)
            features[f"size of {name}"] = float(features.get(f"size of {name}", 0)) + len(payload)
            if name in ("JFIF", "Adobe", "comment"):
                features[f"content of {name}"] = digest_of(payload)
    features["C2PA"] = float(any(b"c2pa" in payload for payload in found.of(0xEB)))
    features["gain map promised"] = float(
        any(b"hdrgm:" in payload or b"GContainer" in payload for payload in found.of(0xE1))
    )
    codes = sum(len(table) - 16 for _, table in huffman_tables(found))
    return {"structure": features, "pictures": {"codes in Huffman tables": float(codes)}}


def compressed(data: bytes) -> int:
    """Bytes of the entropy-coded scans."""
    return walk(data).scan_bytes


def _frame(found: Walk) -> Features:
    marker, payload = next((marker, payload) for marker, payload in found.segments if marker in _FRAMES)
    precision, _, _, count = struct.unpack_from(">BHHB", payload)
    parts = [payload[6 + 3 * number : 9 + 3 * number] for number in range(count)]
    adobe = found.of(0xEE)
    return {
        "frame": f"{marker:02X} of {precision} bits",
        "components": " ".join(str(part[0]) for part in parts),
        "sampling": " ".join(f"{part[1] >> 4}x{part[1] & 15}" for part in parts),
        "table of each component": " ".join(str(part[2]) for part in parts),
        "Adobe transform": str(adobe[0][11]) if adobe and len(adobe[0]) > 11 else "none",
    }


def _tables(found: Walk) -> Features:
    quantisers = found.of(_DQT)
    coding = huffman_tables(found)
    standard = {key for key, table in coding if _standard().get(key) == table}
    if all(key in standard for key, _ in coding):
        kind = "standard"
    else:
        kind = "some standard" if standard else "own"
    return {
        "quantisation tables": digest_of(*quantisers),
        "segments of quantisation tables": len(quantisers),
        "numbers of quantisation tables": " ".join(str(one[0]) for one in quantisers if one),
        "sum of quantisation tables": float(sum(sum(one) for one in quantisers)),
        "Huffman tables": kind if coding else "none",
        "segments of Huffman tables": len(found.of(_DHT)),
        "numbers of Huffman tables": " ".join(str(key) for key, _ in coding),
    }


def huffman_tables(found: Walk) -> list[tuple[int, bytes]]:
    """Every table in order as (class and number, sixteen counts and the symbols)."""
    tables = []
    for payload in found.of(_DHT):
        at = 0
        while at + 17 <= len(payload):
            size = 16 + sum(payload[at + 1 : at + 17])
            tables.append((payload[at], payload[at + 1 : at + 1 + size]))
            at += 1 + size
    return tables


@cache
def _standard() -> dict[int, bytes]:
    """The tables of ITU-T T.81, annex K, as every encoder has them that does not compute its own."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    return dict(huffman_tables(walk(buffer.getvalue())))


def _name(marker: int, payload: bytes) -> str:
    if marker == _COMMENT:
        return "comment"
    if 0xE0 <= marker <= 0xEF:
        kind = next((kind for start, kind in _KINDS.items() if payload.startswith(start)), "")
        return kind or f"APP{marker - 0xE0} {hashlib.sha256(payload[:8]).hexdigest()[:4]}"
    return f"{marker:02X}"
