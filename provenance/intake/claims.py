"""What a file says of itself, or carries beside its picture, that marking the picture would make false.

Such files are no candidates for marks, unless their owner drops the claims from all files of a copy
(docs/decisions/0016-claims.md). Every claim stands in parts of the file, so dropping these parts drops the claim.
"""

import re
import zlib
from collections.abc import Iterator
from enum import StrEnum

from .parts import BEHIND, JPEG_END, JPEG_START, SCANS, Part, has_second_start, parts_of


class Claim(StrEnum):
    """A kind of claim, as facts store it."""

    CREDENTIALS = "credentials"
    GAIN_MAP = "gain map"
    PICTURE = "further picture"
    DEPTH = "depth map"
    FILM = "film"

    @property
    def reason(self) -> str:
        """Why an image that carries it is not marked."""
        return _REASONS[self]

    @property
    def noun(self) -> str:
        return _NOUNS[self]


_REASONS = {
    Claim.CREDENTIALS: "It carries content credentials (C2PA), which would turn invalid.",
    Claim.GAIN_MAP: "It carries a gain map or another layer, which would no longer fit.",
    Claim.PICTURE: "It carries a further picture, which would show it without the mark.",
    Claim.DEPTH: "It carries a depth map with its picture, which would show it without the mark.",
    Claim.FILM: "It carries a short film (motion photo), which would show it without the mark.",
}
_NOUNS = {
    Claim.CREDENTIALS: "content credentials (C2PA)",
    Claim.GAIN_MAP: "a gain map or another layer",
    Claim.PICTURE: "a further picture",
    Claim.DEPTH: "a depth map",
    Claim.FILM: "a short film (motion photo)",
}

XMP, LONG_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_MPF, _ISO_GAIN_MAP, _DOLBY = b"MPF\0", b"urn:iso:std:iso:ts:21496:-1\0", b"HDR_RI"
_FILMS = (b"ftyp", b"MotionPhoto_Data", b"mpvd")
_PICTURES = (JPEG_START, b"\x89PNG\r\n\x1a\n")
_TEXT_LIMIT = 1 << 24  # bytes of a compressed text
_OWN_JPEG_HOLDERS = {
    "APP0": (b"JFIF\0", b"JFXX\0"),
    "APP1": (b"Exif\0",),
    "APP2": (b"ICC_PROFILE\0",),
    "APP13": (b"Photoshop ",),
}
_LAYERS_OF_PNG = {"gmAP", "gdAT", "gMAP"}
_PIXELS = {SCANS, "IDAT"}
_FILM_PROPERTY = re.compile(rb"\b(MotionPhoto|MicroVideo)\b")


def claims_of(data: bytes) -> tuple[Claim, ...]:
    """The kinds of claims that a file carries, in the order of `Claim`; none for bytes that are no image."""
    if _is_bare_jpeg(data):
        return ()
    found = {claim for _, own in parts_with_claims(data) for claim in own}
    return tuple(claim for claim in Claim if claim in found)


def _is_bare_jpeg(data: bytes) -> bool:
    """Whether it surely is a JPEG without any metadata but JFIF's: registration asks this of every file."""
    at, last = 2, len(data) - 4
    if data[:2] != b"\xff\xd8" or not data.endswith(JPEG_END):
        return False
    while at < last and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xDA:
            return not has_second_start(data, at)
        if not 0xC0 <= marker <= 0xE0 or (marker == 0xE0 and data[at + 4 : at + 8] != b"JFIF"):
            return False
        at += 2 + (data[at + 2] << 8 | data[at + 3])
    return False


def parts_with_claims(data: bytes) -> list[tuple[Part, tuple[Claim, ...]]]:
    """Every part that carries claims, with them."""
    parts = [part for part in parts_of(data) if part.kind not in _PIXELS]
    found: dict[Part, set[Claim]] = {}
    for part in parts:
        if own := set(_of_part(part, data)):
            found[part] = own
    packets = [(part, packet) for part in parts if (packet := _xmp(part, data)) is not None]
    if of_xmp := set(_of_xmp(b"".join(packet for _, packet in packets))):
        for part, _ in packets:  # an extension says nothing without the packet before it
            found.setdefault(part, set()).update(of_xmp)
    return [(part, tuple(sorted(found[part]))) for part in parts if part in found]


def _of_part(part: Part, data: bytes) -> Iterator[Claim]:
    kind = part.kind
    if kind in ("caBX", "C2PA"):
        yield Claim.CREDENTIALS
    elif kind in _LAYERS_OF_PNG:
        yield Claim.GAIN_MAP
    elif kind == BEHIND:
        yield from _of_bytes_behind(data[part.body : part.stop])
    elif kind in ("tEXt", "zTXt", "iTXt"):
        if b"ffd8ff" in _text(kind, data[part.body : part.stop]).lower():  # a raw profile, in hex
            yield Claim.PICTURE
    elif kind.startswith("APP") or kind == "COM":
        yield from _of_segment(kind, data[part.body : part.stop])


def _of_segment(kind: str, payload: bytes) -> Iterator[Claim]:
    if kind == "APP2" and payload.startswith(_MPF):
        yield Claim.PICTURE
    elif kind == "APP2" and payload.startswith(_ISO_GAIN_MAP):
        yield Claim.GAIN_MAP
    elif kind == "APP11" and payload.startswith(b"JP"):
        # CI, En (2), Z (4), LBox (4), TBox: JUMBF carries credentials, JPEG XT its layers.
        yield Claim.CREDENTIALS if payload[12:16] == b"jumb" else Claim.GAIN_MAP
    elif kind == "APP11" and payload.startswith(_DOLBY):
        yield Claim.GAIN_MAP
    elif JPEG_START in payload and not payload.startswith(_OWN_JPEG_HOLDERS.get(kind, ())):
        yield Claim.PICTURE


def _of_bytes_behind(behind: bytes) -> Iterator[Claim]:
    if any(start in behind for start in _PICTURES):
        yield Claim.PICTURE
    if any(start in behind for start in _FILMS):
        yield Claim.FILM


def _xmp(part: Part, data: bytes) -> bytes | None:
    """The XMP in this part, a piece of it where it is long; None where there is none."""
    payload = data[part.body : part.stop] if part.kind in ("APP1", "XMP ", "tEXt", "zTXt", "iTXt") else b""
    if part.kind == "APP1":
        return payload if payload.startswith((XMP, LONG_XMP)) else None
    if part.kind == "XMP ":
        return payload
    if payload.startswith(b"XML:com.adobe.xmp\0"):
        return _text(part.kind, payload)
    if payload.startswith((b"Raw profile type xmp\0", b"Raw profile type APP1\0")):
        return _from_hex(_text(part.kind, payload))
    return None


def _of_xmp(packet: bytes) -> Iterator[Claim]:
    text = packet.replace(b"\0", b"")  # UTF-16 and UTF-32 then read as ASCII
    if b"://purl.org/dc/terms/" in text and b"provenance" in text:
        yield Claim.CREDENTIALS
    layered = b"ns.adobe.com/hdr-gain-map/" in text or b"ns.apple.com/HDRGainMap/" in text
    if layered:
        yield Claim.GAIN_MAP
    if any(f"ns.google.com/photos/{name}/".encode() in text for name in ("1.0/depthmap", "1.0/image", "dd/1.0")):
        yield Claim.DEPTH
    film = b"ns.google.com/photos/1.0/camera/" in text and _FILM_PROPERTY.search(text) is not None
    if film:
        yield Claim.FILM
    lists_others = b"ns.google.com/photos/1.0/container/" in text and not layered and not film
    if lists_others or b"ns.adobe.com/xap/1.0/g/img/" in text:
        yield Claim.PICTURE


def _text(kind: str, payload: bytes) -> bytes:
    """What a text chunk of a PNG says, decompressed; as much of it as can be read."""
    _, _, rest = payload.partition(b"\0")
    if kind == "tEXt":
        return rest
    if kind == "zTXt":
        return _inflated(rest[1:])
    compressed, rest = rest[:1] == b"\x01", rest[2:]
    text = rest.split(b"\0", 2)[-1]  # behind language and translated keyword
    return _inflated(text) if compressed else text


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _TEXT_LIMIT)
    except zlib.error:
        return b""


def _from_hex(text: bytes) -> bytes:
    """ImageMagick's raw profile: a line break, a name, a length, and hexadecimal digits."""
    digits = b"".join(text.split()[2:])
    try:
        return bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return b""
