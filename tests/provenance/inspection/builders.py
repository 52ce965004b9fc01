"""Files in the ways that encoders write them, and tells that give some of them away."""

import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from tests.provenance.embedding.builders import as_bytes, picture


def textured(seed: int, width: int = 64, height: int = 56) -> Image.Image:
    """Smooth shapes with grain, so that no two files are of a size."""
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, rng.uniform(1, 9), (height, width, 3))
    return Image.fromarray(np.clip(picture(seed, width, height) + grain, 0, 255).astype(np.uint8))


def jpeg_of(seed: int, **options: Any) -> bytes:
    return as_bytes(textured(seed), "JPEG", **{"quality": 85, "optimize": True, **options})


def png_of(seed: int, **options: Any) -> bytes:
    return as_bytes(textured(seed), "PNG", **options)


def with_thumbnail(seed: int) -> bytes:
    """A JPEG with an EXIF thumbnail of itself."""
    small = textured(seed)
    small.thumbnail((32, 32))
    inner = as_bytes(small, "JPEG", quality=75)
    tiff = b"MM\0*" + struct.pack(">IHI", 8, 0, 14)
    tags = struct.pack(">HHIIHHII", 0x201, 4, 1, 44, 0x202, 4, 1, len(inner))
    tiff += struct.pack(">H", 2) + tags + bytes(4)
    return jpeg_of(seed, exif=b"Exif\0\0" + tiff.ljust(44, b"\0") + inner)


def without_exif(data: bytes) -> bytes:
    start, stop = exif_of(data)
    return data[:start] + data[stop:]


def exif_of(data: bytes) -> tuple[int, int]:
    """Where the EXIF segment begins and ends."""
    at = data.index(b"\xff\xe1")
    return at, at + 2 + int(struct.unpack_from(">H", data, at + 2)[0])


def png_by_hand(
    seed: int, filters: Callable[[int], int] = lambda row: 0, piece: int = 1 << 30, tail: bytes = b""
) -> bytes:
    """An RGB PNG by an encoder of our own: filters none, sub or up by row, IDAT of a size, bytes behind its end."""
    rows = np.asarray(textured(seed))
    raw = b""
    before = np.zeros_like(rows[0])
    for number, row in enumerate(rows):
        kind = filters(number)
        left = np.vstack([np.zeros((1, 3), np.uint8), row[:-1]])
        raw += bytes([kind]) + (row - (0, left, before)[kind]).astype(np.uint8).tobytes()
        before = row
    stream = zlib.compress(raw, 9)
    header = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], 8, 2, 0, 0, 0)
    parts = [
        (b"IHDR", header),
        *((b"IDAT", stream[at : at + piece]) for at in range(0, len(stream), piece)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(one)) + kind + one + struct.pack(">I", zlib.crc32(kind + one)) for kind, one in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body + tail
