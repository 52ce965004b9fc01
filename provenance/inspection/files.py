"""All that is asked of one file: structure, bytes, coding again, thumbnails, and what the file system says of it."""

import io
import os
import stat
import struct
import zlib
from collections.abc import Callable

from PIL import Image

from provenance.embedding.errors import NotMarkableError
from provenance.inspection.byte_statistics import byte_statistics
from provenance.inspection.features import STRUCTURAL, Features, Rooms, named, within
from provenance.inspection.jpeg import jpeg_features
from provenance.inspection.png import png_features
from provenance.inspection.recoding import blockiness, recoding_features
from provenance.inspection.thumbnails import thumbnail_features
from provenance.inspection.webp import webp_features

_READERS: dict[str, Callable[[bytes], Rooms]] = {"JPEG": jpeg_features, "PNG": png_features, "WEBP": webp_features}
_DAMAGED = (
    *(OSError, SyntaxError, ValueError, IndexError, StopIteration),
    *(struct.error, zlib.error, NotMarkableError, Image.DecompressionBombError),
)
DAY = 86_400 * 10**9  # nanoseconds


def file_features(data: bytes) -> Features:
    """Numbers and words by "room: name", such as "structure: restart interval".

    A part of a file that cannot be read says so and gives nothing else; a damaged file is no error.
    """
    kind = _kind(data)
    features: Features = {"structure: format": kind}
    if kind not in _READERS:
        return features
    parts: list[Callable[[], Rooms]] = [lambda: _READERS[kind](data)]
    try:
        with Image.open(io.BytesIO(data), formats=list(_READERS)) as image:
            image.load()
    except _DAMAGED:
        features["structure: decodes"] = "no"
    else:
        features |= {"structure: width": image.width, "structure: height": image.height, "structure: mode": image.mode}
        parts += [lambda: byte_statistics(data, kind, image), lambda: {"pictures": blockiness(image)}]
        if kind == "JPEG":
            parts += [lambda: recoding_features(data), lambda: thumbnail_features(data, image)]
    for number, part in enumerate(parts):
        try:
            features |= named(part())
        except _DAMAGED:
            features[f"structure: part {number} cannot be read"] = 1.0
    return features


def structural_features(data: bytes) -> Features:
    """Those that decide whether files can be told apart, as far as they lie in the file itself."""
    return within(file_features(data), STRUCTURAL)


def place_features(found: os.stat_result) -> Features:
    """What a copy on disk tells besides the files' bytes: time and permissions."""
    return {
        "place: day of the last change": found.st_mtime_ns / DAY,
        "place: part of a second": float(found.st_mtime_ns % 10**9 != 0),
        "place: permissions": oct(stat.S_IMODE(found.st_mode)),
    }


def _kind(data: bytes) -> str:
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    return "WEBP" if data.startswith(b"RIFF") and data[8:12] == b"WEBP" else "unknown"
