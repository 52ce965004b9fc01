"""WebP: a lossless file's pixels are coded anew as its own were; every other chunk stays as it is, byte for byte."""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.raster import Raster, read_raster

# Quality and method of libwebp by which lossless files are written: Pillow's and libvips' default, cwebp's, then the
# best ones, OpenCV's, and the presets of cwebp that are left.
_WAYS = ((80, 4), (75, 4), (100, 4), (100, 6), (70, 4), (90, 4), (80, 6), (75, 6), (50, 4), (90, 5), (0, 0), (80, 0))
_LOSSLESS, _LOSSY, _FRAMES = b"VP8L", b"VP8 ", {b"ANIM", b"ANMF"}


@dataclass(frozen=True)
class Layout:
    """A WebP cut at its lossless pixels. riff: bytes that the RIFF header counts."""

    riff: int
    before: bytes
    pixels: bytes
    after: bytes

    def with_pixels(self, pixels: bytes) -> bytes:
        """The file with other coded pixels, of another length as a rule."""
        kept = _padded(pixels)
        riff = self.riff + len(kept) - len(_padded(self.pixels))
        before = self.before[:4] + struct.pack("<I", riff) + self.before[8:]
        return before + _LOSSLESS + struct.pack("<I", len(pixels)) + kept + self.after


class WebpSource:
    """Raises NotMarkableError, with the reason, for a file that could not be written byte for byte as it is."""

    format = "WEBP"

    def __init__(self, data: bytes) -> None:
        self._layout = parse(data)
        self._raster = read_webp(data)
        self._way = self._way_of()

    @property
    def raster(self) -> Raster:
        return self._raster

    def write(self, pixels: np.ndarray, region: tuple[int, int, int, int]) -> bytes:
        """The file with (H, W, C) `pixels` inside `region`; no mark goes where alpha is 0."""
        top, left, height, width = region
        window = (slice(top, top + height), slice(left, left + width))
        before = self._raster.pixels[window]
        written = self._raster.pixels.copy()
        hidden = before[..., -1:] == 0 if before.shape[2] == 4 else np.False_
        written[window] = np.where(hidden, before, pixels[window])
        return self._layout.with_pixels(_coded(written, *self._way))

    def _way_of(self) -> tuple[bool, int, int]:
        hides = self._raster.pixels.shape[2] == 4 and not self._raster.pixels[..., 3].all()
        for quality, method in _WAYS:
            for exact in (False, True) if hides else (True,):
                if _coded(self._raster.pixels, exact, quality, method) == self._layout.pixels:
                    return exact, quality, method
        raise NotMarkableError("How the WebP was coded is unknown, so a marked one could not be written alike.")


def read_webp(data: bytes) -> Raster:
    """The stored pixels. Raises OSError or ValueError where it cannot be decoded."""
    with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
        return read_raster(image)


def parse(data: bytes) -> Layout:
    """Cut a lossless WebP into its parts. Raises NotMarkableError for a damaged, lossy or animated one."""
    found = list(_chunks(data))
    kinds = [kind for kind, _, _ in found]
    if not _FRAMES.isdisjoint(kinds):
        raise NotMarkableError("An animated WebP would lose its frames.")
    if _LOSSY in kinds:
        raise NotMarkableError(
            "A lossy WebP is coded anew from its pixels, and then told apart from its neighbours by how it is coded."
        )
    if kinds.count(_LOSSLESS) != 1:
        raise NotMarkableError("The WebP's chunks are damaged.")
    _, start, end = found[kinds.index(_LOSSLESS)]
    behind = end + ((end - start) & 1)
    (riff,) = struct.unpack_from("<I", data, 4)
    return Layout(riff, data[:start], data[start + 8 : end], data[behind:])


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start, end without padding) of every chunk that the RIFF header counts."""
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise NotMarkableError("The WebP's chunks are damaged.")
    at, stop = 12, 8 + int.from_bytes(data[4:8], "little")
    while at + 8 <= stop:
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        if end > min(stop, len(data)):
            raise NotMarkableError("The WebP's chunks are damaged.")
        yield data[at : at + 4], at, end
        at = end + (end - at & 1)


def _coded(pixels: np.ndarray, exact: bool, quality: int, method: int) -> bytes:
    """The VP8L chunk's body of (H, W, 3 or 4) uint8. exact: keep colours where alpha is 0, else the encoder's own."""
    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.save(buffer, "WEBP", lossless=True, exact=exact, quality=quality, method=method)
    data = buffer.getvalue()
    return next(data[start + 8 : end] for kind, start, end in _chunks(data) if kind == _LOSSLESS)


def _padded(body: bytes) -> bytes:
    return body + b"\0" * (len(body) & 1)
