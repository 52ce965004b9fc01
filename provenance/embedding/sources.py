"""Image files that can be written like themselves, of every format: what a mark may go into, and what it may not.

A file is a candidate only where writing it without a change gives the same bytes; any other could be told apart.
"""

import io
from collections.abc import Callable
from typing import Protocol

import numpy as np
from PIL import Image

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.png import PngSource, read_png
from provenance.embedding.raster import Raster, read_raster
from provenance.embedding.webp import WebpSource, read_webp

Region = tuple[int, int, int, int]  # top, left, height, width


class Source(Protocol):
    """A file that can be written like itself. `format`: "JPEG", "PNG" or "WEBP". `raster`: its stored pixels."""

    @property
    def format(self) -> str: ...

    @property
    def raster(self) -> Raster: ...

    def write(self, pixels: np.ndarray, region: Region) -> bytes:
        """The file with (H, W, C) `pixels` where they differ inside `region`; all else is the source's.

        Raises: NotMarkableError.
        """
        ...


def open_source(data: bytes, region_of: Callable[[int, int], Region] | None = None) -> Source:
    """Open a file for marking.

    Args: region_of: the region of a height and a width that will be changed, where it is known before.
    Raises: NotMarkableError, with the reason, where it cannot be decoded, or where writing it without a change would
    not give the same bytes.
    """
    kind = _kind(data)
    try:
        if kind == "PNG":
            return PngSource(data)
        if kind == "WEBP":
            return WebpSource(data)
        # Compiled code takes a second to load, and pages name this module without opening a file.
        from provenance.embedding.jpeg.source import JpegSource

        return JpegSource(data, region_of)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _undecodable(error) from error


def decode(data: bytes) -> Raster:
    """A file's stored pixels, whether it can be written again or not. Raises NotMarkableError."""
    kind = _kind(data)
    try:
        if kind == "PNG":
            return read_png(data).raster
        if kind == "WEBP":
            return read_webp(data)
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            return read_raster(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _undecodable(error) from error


def _kind(data: bytes) -> str:
    if data.startswith(b"\xff\xd8"):
        return "JPEG"
    if data.startswith(b"\x89PNG"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    raise NotMarkableError("The file is not a JPEG, PNG or WebP image.")


def _undecodable(error: Exception) -> NotMarkableError:
    return NotMarkableError("The image cannot be decoded.", detail=str(error))
