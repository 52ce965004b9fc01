"""JPEG: re-encoded with the source's quantisation tables and subsampling; EXIF, ICC, XMP and comments kept as bytes."""

import io
import struct
from collections.abc import Callable, Iterator

from PIL import Image, JpegImagePlugin

from provenance.embedding.errors import NotMarkableError

_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_SCAN, _ADOBE, _COMMENT = 0xDA, 0xEE, 0xFE

Encoder = Callable[[Image.Image], bytes]


def encoders(source: Image.Image, data: bytes) -> Iterator[tuple[str, Encoder]]:
    """Ways to write the marked image, each with its name, from most alike the source to most faithful to the mark."""
    if not isinstance(source, JpegImagePlugin.JpegImageFile):
        raise NotMarkableError("The file is no JPEG.")
    tables = [list(source.quantization[number]) for number in sorted(source.quantization)]
    sampling = JpegImagePlugin.get_sampling(source)
    progressive = bool(source.info.get("progressive"))
    coloured = source.layers == 3
    # Samplings that the encoder does not know (4:4:0, 4:1:1) are written in full.
    like_source = {"subsampling": max(sampling, 0)} if coloured else {}
    full = {"subsampling": 0} if coloured else {}
    halved = [[max(1, step // 2) for step in table] for table in tables]

    def encoder(**options: object) -> Encoder:
        return lambda image: _encode(image, data, progressive=progressive, **options)

    yield "source", encoder(qtables=tables, **like_source)
    if like_source != full:
        yield "full colour", encoder(qtables=tables, **full)
    yield "finer tables", encoder(qtables=halved, **full)
    yield "quality 95", encoder(quality=95, **full)


def _encode(image: Image.Image, source: bytes, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return with_metadata(buffer.getvalue(), source)


def with_metadata(encoded: bytes, source: bytes) -> bytes:
    """`encoded` with the application segments and comments of `source` in place of its own, byte for byte.

    The Adobe segment stays the encoder's, since it says how the pixels are coded; the index of further pictures
    behind the first (MPF) goes, since they are not written.
    """
    kept, _ = _segments(source)
    own, rest = _segments(encoded)
    before = [part for marker, part in kept if _is_metadata(marker) and not _is_index(part)]
    after = [part for marker, part in own if not _is_metadata(marker)]
    return b"\xff\xd8" + b"".join(before) + b"".join(after) + rest


def _is_metadata(marker: int) -> bool:
    return marker == _COMMENT or (0xE0 <= marker <= 0xEF and marker != _ADOBE)


def _is_index(segment: bytes) -> bool:
    return segment[1] == 0xE2 and segment[4:8] == b"MPF\x00"


def _segments(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Segments between the start and the scan, as (marker, bytes), and everything from the scan on."""
    found: list[tuple[int, bytes]] = []
    at = 2
    try:
        while True:
            if data[at] != 0xFF:
                raise NotMarkableError("The JPEG's segments are damaged.")
            while data[at + 1] == 0xFF:
                at += 1
            marker = data[at + 1]
            if marker == _SCAN:
                return found, data[at:]
            length = 0 if marker in _ALONE else struct.unpack_from(">H", data, at + 2)[0]
            found.append((marker, data[at : at + 2 + length]))
            at += 2 + length
    except (IndexError, struct.error) as error:
        raise NotMarkableError("The JPEG ends before its image begins.") from error
