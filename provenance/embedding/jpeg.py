"""JPEG: re-encoded with the source's quantisation tables and subsampling; EXIF, ICC, XMP and comments kept as bytes."""

import io
import struct

import numpy as np
from PIL import Image, JpegImagePlugin

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.raster import Raster, read_raster

_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_SCAN, _ADOBE, _COMMENT = 0xDA, 0xEE, 0xFE


class JpegSource:
    """A JPEG that is coded anew with the source's tables and subsampling."""

    format = "JPEG"

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._image = Image.open(io.BytesIO(data), formats=["JPEG"])
        self._raster = read_raster(self._image)

    @property
    def raster(self) -> Raster:
        return self._raster

    def write(self, pixels: np.ndarray, region: tuple[int, int, int, int]) -> bytes:
        source = self._image
        flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
        height, width = flat.shape[:2]
        image = Image.frombytes(self._raster.mode, (width, height), np.ascontiguousarray(flat).tobytes())
        tables = [list(source.quantization[number]) for number in sorted(source.quantization)]  # type: ignore[attr-defined]
        sampling = {"subsampling": max(JpegImagePlugin.get_sampling(source), 0)} if source.layers == 3 else {}  # type: ignore[attr-defined]
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", qtables=tables, progressive=bool(source.info.get("progressive")), **sampling)
        return with_metadata(buffer.getvalue(), self._data)


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
