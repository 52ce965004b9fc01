"""Decoding an image file to its stored pixels, and writing marked pixels in the same format."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from provenance.embedding import jpeg, png
from provenance.embedding.errors import NotMarkableError
from provenance.embedding.raster import Raster, as_written, read_raster

FORMATS = ("JPEG", "PNG", "WEBP")
LOSSY_WEBP_QUALITIES = (90, 97)  # a WebP does not say which quality it was written with
OF_UNKNOWN_QUALITY = (  # lossy WebP as it is written first: nobody can say whether like its source
    f"WebP quality {LOSSY_WEBP_QUALITIES[0]}",
    f"quality {LOSSY_WEBP_QUALITIES[0]}",  # the same in older releases
)
FIRST_WAYS = ("source", *OF_UNKNOWN_QUALITY)  # any other way writes better, for the mark

Encoder = Callable[[np.ndarray], bytes]


@dataclass(frozen=True)
class SourceImage:
    """A decoded file, and how marked pixels of it can be written."""

    format: str
    raster: Raster
    image: Image.Image
    data: bytes

    def encoders(self) -> Iterator[tuple[str, Encoder]]:
        """Ways to write, as (name, function of pixels); the first is "source" where it is the source's own."""
        if self.format == "JPEG":
            for name, encode in jpeg.encoders(self.image, self.data):
                yield name, lambda pixels, encode=encode: encode(self._picture(pixels))  # type: ignore[misc]
        elif self.format == "PNG":
            transparent = self.raster.transparent
            yield "source", lambda pixels: png.encode(self._picture(pixels), self.image, self.data, transparent)
        else:
            yield from self._webp_encoders()

    def _picture(self, pixels: np.ndarray) -> Image.Image:
        return as_written(self.raster, pixels)

    def _webp_encoders(self) -> Iterator[tuple[str, Encoder]]:
        kept = {name: self.image.info[name] for name in ("exif", "icc_profile", "xmp") if name in self.image.info}

        def encoder(**options: object) -> Encoder:
            def encode(pixels: np.ndarray) -> bytes:
                buffer = io.BytesIO()
                self._picture(pixels).save(buffer, "WEBP", method=4, **kept, **options)
                return buffer.getvalue()

            return encode

        if _webp_is_lossless(self.data):
            yield "source", encoder(lossless=True, exact=True)
            return
        for quality in LOSSY_WEBP_QUALITIES:
            yield f"WebP quality {quality}", encoder(quality=quality, alpha_quality=100)
        yield "lossless", encoder(lossless=True, exact=True)


def decode(data: bytes) -> SourceImage:
    """Decode a file's stored pixels.

    Raises: NotMarkableError where it cannot be decoded, or could not be written back without loss of more than the
    mark: animations, colour PNGs of 16 bits, exotic modes.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        # Pillow calls a JPEG with further pictures behind it MPO.
        name = "JPEG" if image.format == "MPO" else image.format or ""
        if name == "PNG":
            png.check(data)
        elif name == "WEBP" and getattr(image, "n_frames", 1) > 1:
            raise NotMarkableError("An animated WebP would lose its frames.")
        image.load()
        transparent = png.transparent_colour(data) if name == "PNG" else None
        return SourceImage(name, read_raster(image, transparent), image, data)
    except NotMarkableError:
        raise
    except UnidentifiedImageError as error:
        raise NotMarkableError("The file is not a JPEG, PNG or WebP image.") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise NotMarkableError("The image cannot be decoded.", detail=str(error)) from error


def _webp_is_lossless(data: bytes) -> bool:
    at = 12
    while at + 8 <= len(data):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        at += 8 + length + (length & 1)
    return False
