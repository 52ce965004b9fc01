"""What an image file is, read from its structure alone: format, size, mode, and whether all of it is there.

``inspect`` decodes nothing. Whatever is unusual raises ``Doubtful``, and a decoder in a child process has the last word
(``decoding.py``). Why that finds truncation: docs/architecture.md, "What lies on disk".
"""

import struct
import zlib
from typing import NamedTuple

from .errors import Refused

FORMATS = ("JPEG", "PNG", "WEBP")
PIXEL_CAP = 100_000_000  # pixels of one image
TRUNCATED = "truncated: the file ends before the image does"


class Doubtful(Exception):  # noqa: N818 - not an error: a question for the decoder
    """The structure alone does not settle it."""


class ImageFacts(NamedTuple):
    """What a manifest says of an image. ``mode`` is Pillow's name; ``bits`` per channel; ``orientation`` is EXIF's."""

    format: str
    width: int
    height: int
    mode: str
    orientation: int = 1
    bits: int = 8


_FOREIGN = (
    (b"PK\x03\x04", "an archive inside the dataset is not unpacked"),
    (b"PK\x05\x06", "an archive inside the dataset is not unpacked"),
    (b"\x1f\x8b", "an archive inside the dataset is not unpacked"),
    (b"BZh", "an archive inside the dataset is not unpacked"),
    (b"\xfd7zXZ", "an archive inside the dataset is not unpacked"),
    (b"7z\xbc\xaf", "an archive inside the dataset is not unpacked"),
    (b"\x28\xb5\x2f\xfd", "an archive inside the dataset is not unpacked"),
    (b"Rar!", "an archive inside the dataset is not unpacked"),
    (b"GIF8", "GIF images are not taken; JPEG, PNG and WebP are"),
    (b"BM", "BMP images are not taken; JPEG, PNG and WebP are"),
    (b"II*\x00", "TIFF images are not taken; JPEG, PNG and WebP are"),
    (b"MM\x00*", "TIFF images are not taken; JPEG, PNG and WebP are"),
)


def sniff(head: bytes) -> str:
    """The format of a file that starts with ``head`` (16 bytes and more are enough). Raises ``Refused``."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if not head:
        raise Refused("empty file")
    for magic, reason in _FOREIGN:
        if head.startswith(magic):
            raise Refused(reason)
    if head[257:262] == b"ustar":
        raise Refused("an archive inside the dataset is not unpacked")
    if head[4:8] == b"ftyp":
        raise Refused("HEIC, AVIF and video files are not taken; JPEG, PNG and WebP are")
    raise Refused("not an image: neither JPEG, PNG nor WebP")


def inspect(data: bytes, pixel_cap: int = PIXEL_CAP) -> tuple[ImageFacts, int]:
    """Facts of the image file ``data``, and the length of its leading bytes that settled them.

    For a JPEG another file that starts with the same bytes and ends with the end marker has the same facts; for the
    other formats the length is 0. Raises ``Refused`` with the reason, or ``Doubtful``.
    """
    name = sniff(data[:300])
    try:
        if name == "JPEG":
            facts, settled = _jpeg(data)
        else:
            facts, settled = (_png(data) if name == "PNG" else _webp(data)), 0
    except (IndexError, struct.error):
        raise Refused(TRUNCATED) from None
    check_pixels(facts.width, facts.height, pixel_cap)
    return facts, settled


def check_pixels(width: int, height: int, pixel_cap: int) -> None:
    if not width or not height:
        raise Refused("the image has no pixels")
    if width * height > pixel_cap:
        raise Refused(f"{width} x {height} pixels; at most {pixel_cap:,} pixels are taken")


# JPEG -----------------------------------------------------------------------------------------------------------------

_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length


def _jpeg(data: bytes) -> tuple[ImageFacts, int]:
    at, orientation, quantised = 2, 1, False
    frame: tuple[int, int, str] | None = None
    while True:
        if data[at] != 0xFF:
            raise Doubtful
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in _ALONE:
            continue
        length = data[at] << 8 | data[at + 1]
        if marker == 0xDA:
            break
        if length < 2 or marker in (0xD8, 0xD9, 0x00):
            raise Doubtful
        if marker == 0xDB:
            quantised = True
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if frame or marker > 0xC2 or length < 11:
                raise Doubtful
            frame = _jpeg_frame(data, at)
        elif marker == 0xE1 and orientation == 1 and data[at + 2 : at + 8] == b"Exif\0\0":
            orientation = exif_orientation(data[at + 8 : at + length])
        at += length
    at += length
    if at > len(data):
        raise Refused(TRUNCATED)
    if not frame or not quantised or not data.endswith(b"\xff\xd9") or at + 2 > len(data):
        raise Doubtful
    return ImageFacts("JPEG", frame[0], frame[1], frame[2], orientation), at


def _jpeg_frame(data: bytes, at: int) -> tuple[int, int, str]:
    precision, height, width, components = struct.unpack_from(">BHHB", data, at + 2)
    if precision != 8 or components not in _JPEG_MODES or not height:
        raise Doubtful
    return width, height, _JPEG_MODES[components]


def exif_orientation(tiff: bytes) -> int:
    """Orientation (1 to 8) from the TIFF structure of an EXIF block; 1 where it is absent or makes no sense."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    try:
        if order is None:
            return 1
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * min(count, 512), 12):
            tag, kind, number, value = struct.unpack_from(order + "HHIH", tiff, entry)
            if tag == 0x0112:
                return value if kind == 3 and number == 1 and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


# PNG ------------------------------------------------------------------------------------------------------------------

# (bits, colour type) -> Pillow's mode
_PNG_MODES = {
    (1, 0): "1",
    (2, 0): "L",
    (4, 0): "L",
    (8, 0): "L",
    (16, 0): "I;16",
    (8, 2): "RGB",
    (16, 2): "RGB",
    (1, 3): "P",
    (2, 3): "P",
    (4, 3): "P",
    (8, 3): "P",
    (8, 4): "LA",
    (16, 4): "RGBA",
    (8, 6): "RGBA",
    (16, 6): "RGBA",
}


def _png(data: bytes) -> ImageFacts:
    view = memoryview(data)
    at, orientation, pixels, palette = 8, 1, 0, False
    header: tuple[int, int, int, int] | None = None
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise Refused(TRUNCATED)
        (expected,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(view[at + 4 : end - 4]) != expected:
            raise Refused("damaged: a checksum inside the PNG does not match")
        if kind == b"IHDR":
            header = struct.unpack_from(">IIBB", data, at + 8)
        elif kind == b"IDAT":
            pixels += length
        elif kind == b"PLTE":
            palette = True
        elif kind == b"acTL":
            raise Refused("animated images are not taken")
        elif kind == b"eXIf":
            orientation = exif_orientation(data[at + 8 : end - 4])
        elif kind == b"IEND":
            break
        at = end
    if not header or header[2:] not in _PNG_MODES or not pixels or (header[3] == 3 and not palette):
        raise Doubtful
    width, height, bits, colour = header
    return ImageFacts("PNG", width, height, _PNG_MODES[bits, colour], orientation, 16 if bits == 16 else 8)


# WebP -----------------------------------------------------------------------------------------------------------------


def _webp(data: bytes) -> ImageFacts:
    (length,) = struct.unpack_from("<I", data, 4)
    if length + 8 > len(data):
        raise Refused(TRUNCATED)
    at, orientation = 12, 1
    size: tuple[int, int] | None = None
    alpha = extended_alpha = False
    while at + 8 <= length + 8:
        kind, part = struct.unpack_from("<4sI", data, at)
        body = at + 8
        if body + part > length + 8:
            raise Refused(TRUNCATED)
        if kind == b"VP8 ":
            size = _vp8_size(data, body, part)
        elif kind == b"VP8L":
            size, alpha = _vp8l_size(data, body)
        elif kind == b"VP8X":
            if data[body] & 0x02:
                raise Refused("animated images are not taken")
            extended_alpha = bool(data[body] & 0x10)
        elif kind == b"ALPH":
            alpha = True
        elif kind == b"EXIF":
            block = data[body : body + part]
            orientation = exif_orientation(block.removeprefix(b"Exif\0\0"))
        at = body + part + (part & 1)
    if size is None or (extended_alpha != alpha and data[12:16] == b"VP8X"):
        raise Doubtful
    return ImageFacts("WEBP", size[0], size[1], "RGBA" if alpha else "RGB", orientation)


def _vp8_size(data: bytes, body: int, part: int) -> tuple[int, int]:
    tag = data[body] | data[body + 1] << 8 | data[body + 2] << 16
    # A key frame, and its first partition inside the chunk.
    if tag & 1 or data[body + 3 : body + 6] != b"\x9d\x01\x2a" or 10 + (tag >> 5) > part:
        raise Doubtful
    width, height = struct.unpack_from("<HH", data, body + 6)
    return (width & 0x3FFF, height & 0x3FFF)


def _vp8l_size(data: bytes, body: int) -> tuple[tuple[int, int], bool]:
    signature, bits = struct.unpack_from("<BI", data, body)
    if signature != 0x2F:
        raise Doubtful
    return ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), bool(bits >> 28 & 1)
