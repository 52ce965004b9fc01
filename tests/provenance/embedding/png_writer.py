"""A writer of PNGs with every choice that a real one makes: filters, interlace, depth, chunk sizes, zlib's settings."""

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    samples: np.ndarray,
    colour: int,
    depth: int = 8,
    *,
    filters: Sequence[int] = (0,),
    interlaced: bool = False,
    before: Sequence[tuple[bytes, bytes]] = (),
    after: Sequence[tuple[bytes, bytes]] = (),
    behind: bytes = b"",
    cut: int | Sequence[int] = 1 << 30,
    **settings: Any,
) -> bytes:
    """(H, W, C) samples as a PNG file. filters: of the rows, in turn. cut: sizes of IDAT. settings: zlib's."""
    height, width = samples.shape[:2]
    rows = []
    for left, top, across, down in ADAM7 if interlaced else ((0, 0, 1, 1),):
        part = samples[top::down, left::across]
        above = None
        for number, row in enumerate(part if part.size else ()):
            raw = packed(row, depth)
            kind = filters[number % len(filters)]
            rows.append(
                bytes([kind]) + filtered(kind, raw, above or bytes(len(raw)), max(1, CHANNELS[colour] * depth // 8))
            )
            above = raw
    stream = compressed(b"".join(rows), **settings)
    sizes = [cut] * (len(stream) // cut + 1) if isinstance(cut, int) else list(cut)
    at, pieces = 0, []
    for size in sizes:
        pieces += [stream[at : at + size]] if stream[at : at + size] else []
        at += size
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    parts = [(b"IHDR", header), *before, *((b"IDAT", piece) for piece in pieces), *after, (b"IEND", b"")]
    return SIGNATURE + b"".join(chunk(*part) for part in parts) + behind


def packed(row: np.ndarray, depth: int) -> bytes:
    if depth == 16:
        return row.astype(">u2").tobytes()
    bits = np.unpackbits(row.astype(np.uint8).reshape(-1, 1), axis=1)[:, 8 - depth :]
    return np.packbits(bits.reshape(-1)).tobytes()


def filtered(kind: int, raw: bytes, above: bytes, step: int) -> bytes:
    """One row, as the specification has it, byte by byte."""
    found = []
    for index, value in enumerate(raw):
        a = raw[index - step] if index >= step else 0
        b, c = above[index], above[index - step] if index >= step else 0
        p = a + b - c
        nearest = min((a, b, c), key=lambda neighbour: abs(p - neighbour))
        found.append((value - (0, a, b, (a + b) // 2, nearest)[kind]) & 255)
    return bytes(found)


def compressed(
    data: bytes, level: int = 6, window: int = 15, memory: int = 8, strategy: int = 0, library: Any = zlib
) -> bytes:
    deflater = library.compressobj(level, zlib.DEFLATED, window, memory, strategy)
    return deflater.compress(data) + deflater.flush()


def cut(data: bytes) -> list[tuple[bytes, bytes]]:
    """(kind, body) of every chunk up to IEND, and what follows under the name of nothing."""
    at, found = 8, []
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
        if kind == b"IEND":
            return [*found, (b"", data[at:])]


def inflated(data: bytes) -> bytes:
    return zlib.decompress(b"".join(body for kind, body in cut(data) if kind == b"IDAT"))
