"""What a PNG's structure tells: chunks, zlib stream, row filters and how they were chosen."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from provenance.inspection.features import Features, Rooms, digest_of

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))  # Adam7
_LEVELS = (1, 6, 9)
_MOST_INFLATED = 1032  # bytes that one byte of a deflate stream may become
_FILTERS = ("none", "sub", "up", "average", "Paeth")


def png_features(data: bytes) -> Rooms:
    """Chunks, zlib stream and filters. Raises ValueError, struct.error or zlib.error where they are damaged."""
    chunks, end = _chunks(data)
    header = chunks[0][1]
    pieces = [body for kind, body in chunks if kind == b"IDAT"]
    order: list[str] = []
    for kind, _ in chunks:
        if not order or order[-1] != kind.decode("latin-1"):
            order.append(kind.decode("latin-1"))
    features: Features = {
        "chunks": " ".join(order),
        "depth and colour type": f"{header[8]} {header[9]}",
        "interlaced": str(header[12]),
        "zlib header": b"".join(pieces)[:2].hex(),
        "sizes of the other IDAT": digest_of(repr(sorted({len(one) for one in pieces[:-1]})).encode()),
        "bytes behind the end": len(data) - end,
    }
    for kind, body in chunks:
        name = kind.decode("latin-1")
        if name not in ("IHDR", "IDAT", "IEND"):
            features[f"size of {name}"] = float(features.get(f"size of {name}", 0)) + len(body)
    sizes: Features = {
        "number of IDAT": len(pieces),
        "size of the first IDAT": len(pieces[0]),
        "size of the last IDAT": len(pieces[-1]),
    }
    coded = _stream(header, b"".join(pieces), data)
    return {"structure": features | coded["structure"], "bytes": sizes | coded["bytes"]}


def compressed(data: bytes) -> int:
    """Bytes of the zlib stream."""
    return sum(len(body) for kind, body in _chunks(data)[0] if kind == b"IDAT")


def _chunks(data: bytes) -> tuple[list[tuple[bytes, bytes]], int]:
    """Chunks up to IEND, and where the file would end then."""
    found, at = [], 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
        if kind == b"IEND":
            break
    return found, at


def _stream(header: bytes, stream: bytes, data: bytes) -> Rooms:
    """The compressor by its results, and the row filters."""
    images = list(_images(header))
    expected = sum(rows * (1 + width) for rows, width in images)
    # A damaged header may promise more than a number for memory can hold; a stream never holds so much.
    raw = zlib.decompressobj().decompress(stream, min(expected, _MOST_INFLATED * len(stream)) + 1)
    if len(raw) != expected:
        raise ValueError("the rows are not all there, or there are more")
    sizes = {level: len(zlib.compress(raw, level)) for level in _LEVELS}
    features: Features = {f"size against zlib level {level}": len(stream) / size for level, size in sizes.items()}
    as_zlib = next((f"at {level}" for level in _LEVELS if sizes[level] == len(stream)), "otherwise")
    features["compressed as zlib would"] = as_zlib  # levels tie where a picture is simple
    filters = _filters(raw, images)
    for number, name in enumerate(_FILTERS):
        features[f"rows with filter {name}"] = float((filters == number).mean())
    if len(images) == 1 and header[8] == 8:
        with Image.open(io.BytesIO(data)) as image:
            rows = np.asarray(image).reshape(len(filters), -1)
        sums = _sums(rows, _CHANNELS[header[9]])
        features["filters as the least sum would choose"] = float((np.argmin(sums, axis=0) == filters).mean())
        sums[3] = np.iinfo(np.int64).max
        features["the same without average"] = float((np.argmin(sums, axis=0) == filters).mean())
    first = str(stream[2] >> 1 & 3)
    form: Features = {"kind of the first deflate block": first}
    return {"structure": form, "bytes": features}


def _filters(raw: bytes, images: list[tuple[int, int]]) -> np.ndarray:
    """The number of every row's filter."""
    at, found = 0, []
    for rows, width in images:
        size = rows * (1 + width)
        found.append(np.frombuffer(raw, np.uint8, size, at).reshape(rows, 1 + width)[:, 0])
        at += size
    return np.concatenate(found)


def _images(header: bytes) -> Iterator[tuple[int, int]]:
    """(rows, bytes of a row without its filter) of the picture, or of the seven of an interlaced one."""
    width, height, depth, colour = struct.unpack_from(">IIBB", header)
    if colour not in _CHANNELS:
        raise ValueError("no such colour type")
    bits = _CHANNELS[colour] * depth
    for top, left, down, across in _PASSES if header[12] else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            yield rows, (columns * bits + 7) // 8


def _sums(rows: np.ndarray, step: int) -> np.ndarray:
    """(5, H) the sum of absolute differences of each row under each filter; libpng and others choose the least.

    rows: (H, W) uint8, the picture's bytes. step: bytes from one pixel to the next.
    """
    left, up, corner = _neighbours(rows, step)
    now, sums = rows.astype(np.int16), []
    for guess in (np.zeros_like(now), left, up, (left + up) >> 1, _paeth(left, up, corner)):
        sums.append(np.abs((now - guess).astype(np.int8).astype(np.int16)).sum(axis=1, dtype=np.int64))
    return np.stack(sums)


def _neighbours(rows: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    padded = np.pad(rows, ((1, 0), (step, 0))).astype(np.int16)
    return padded[1:, :-step], padded[:-1, step:], padded[:-1, :-step]


def _paeth(left: np.ndarray, up: np.ndarray, corner: np.ndarray) -> np.ndarray:
    from_left, from_up = np.abs(up - corner), np.abs(left - corner)
    from_corner = np.abs(left + up - 2 * corner)
    second = np.where(from_up <= from_corner, up, corner)
    return np.where((from_left <= from_up) & (from_left <= from_corner), left, second)
