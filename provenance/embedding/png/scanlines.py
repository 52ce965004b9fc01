"""Rows of a PNG: from the inflated stream to samples and back, pass by pass where it is interlaced."""

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.png.chunks import SIGNATURE, Header, chunk

# Adam7: first column and row, steps across and down
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_MODES = {1: 0, 2: 4, 3: 2, 4: 6}  # bytes of a pixel: colour type with as many channels of 8 bits


@dataclass(frozen=True)
class Pass:
    """Which pixels an interlace pass holds, and where its rows lie in the inflated stream."""

    left: int
    top: int
    across: int
    down: int
    width: int
    height: int
    start: int  # bytes
    length: int  # bytes of a row, without the one that names its filter

    @property
    def end(self) -> int:
        return self.start + self.height * (self.length + 1)

    def of(self, samples: np.ndarray) -> np.ndarray:
        """The pass's part of (H, W, C) samples, as a view."""
        return samples[self.top :: self.down, self.left :: self.across]

    def rows(self, stream: np.ndarray) -> np.ndarray:
        """(height, 1 + length) uint8 view of the inflated stream: the filter's type, then the filtered row."""
        return stream[self.start : self.end].reshape(self.height, self.length + 1)


def passes(header: Header) -> list[Pass]:
    """The passes that hold pixels, in their order; one of all pixels where nothing is interlaced."""
    found, start = [], 0
    for left, top, across, down in _PASSES if header.interlaced else ((0, 0, 1, 1),):
        width, height = -(-(header.width - left) // across), -(-(header.height - top) // down)
        if width > 0 and height > 0:
            length = (width * header.channels * header.depth + 7) // 8
            found.append(Pass(left, top, across, down, width, height, start, length))
            start = found[-1].end
    return found


def inflate(stream: bytes, length: int) -> np.ndarray:
    """(length,) uint8. Raises NotMarkableError where the stream holds less, more, or what is no zlib stream."""
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(stream, length + 1)
    except zlib.error as error:
        raise NotMarkableError("The PNG's pixel data are damaged.", detail=str(error)) from error
    if len(raw) != length or not inflater.eof or inflater.unused_data:
        raise NotMarkableError("The PNG's pixel data are damaged.")
    return np.frombuffer(raw, dtype=np.uint8)


def unfiltered(rows: np.ndarray, pixel_bytes: int) -> np.ndarray:
    """(h, length) uint8 of (h, 1 + length) filtered rows. Raises NotMarkableError for an unknown filter."""
    if rows[:, 0].max() > 4:
        raise NotMarkableError("The PNG's pixel data are damaged.")
    if not rows[:, 0].any():
        return np.ascontiguousarray(rows[:, 1:])
    if pixel_bytes <= 4:
        return _decoded(rows, pixel_bytes)
    # A filter looks back by whole pixels, so high and low bytes of 16-bit channels are pictures of their own.
    halves = rows[:, 1:].reshape(len(rows), -1, 2)
    both = [_decoded(np.concatenate([rows[:, :1], halves[..., half]], axis=1), pixel_bytes // 2) for half in range(2)]
    return np.stack(both, axis=2).reshape(len(rows), -1)


def _decoded(rows: np.ndarray, pixel_bytes: int) -> np.ndarray:
    """Unfilter as a decoder does, of as many channels of 8 bits as a pixel has bytes."""
    height, width = len(rows), (rows.shape[1] - 1) // pixel_bytes
    header = struct.pack(">IIBBBBB", width, height, 8, _MODES[pixel_bytes], 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 0)), (b"IEND", b"")]
    with Image.open(io.BytesIO(SIGNATURE + b"".join(chunk(*part) for part in parts)), formats=["PNG"]) as image:
        return np.asarray(image).reshape(height, -1)


def unpacked(raw: np.ndarray, width: int, header: Header) -> np.ndarray:
    """(h, width, C) samples, uint8 or uint16, of (h, length) rows."""
    height, depth = len(raw), header.depth
    if depth == 16:
        return raw.view(">u2").astype(np.uint16).reshape(height, width, header.channels)
    if depth == 8:
        return raw.reshape(height, width, header.channels)
    shifts = np.arange(8 - depth, -1, -depth, dtype=np.uint8)
    levels = (raw[:, :, None] >> shifts) & np.uint8(2**depth - 1)
    return levels.reshape(height, -1)[:, :width, None]


def packed(samples: np.ndarray, header: Header, under: np.ndarray) -> np.ndarray:
    """(h, length) rows of (h, width, C) samples; `under`: the source's, whose bits behind the last pixel are kept."""
    height, depth = len(samples), header.depth
    if depth == 16:
        return samples.astype(">u2").view(np.uint8).reshape(height, -1)
    if depth == 8:
        return samples.reshape(height, -1)
    kept = unpacked(under, under.shape[1] * 8 // depth, header)[..., 0].copy()
    kept[:, : samples.shape[1]] = samples[..., 0]
    shifts = np.arange(8 - depth, -1, -depth, dtype=np.uint8)
    return np.bitwise_or.reduce(kept.reshape(height, -1, 8 // depth) << shifts, axis=2)
