"""What a file's bytes tell: their entropy, and their number against what the decoded pixels cost in another coding."""

import io
import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from provenance.inspection import jpeg, png, webp
from provenance.inspection.features import Rooms

_COMPRESSED: dict[str, Callable[[bytes], int]] = {
    "JPEG": jpeg.compressed,
    "PNG": png.compressed,
    "WEBP": webp.compressed,
}
_QUALITY = 75  # of the yardstick that all files are measured by


def byte_statistics(data: bytes, kind: str, image: Image.Image) -> Rooms:
    """Bits of entropy per byte, bytes per pixel, and size against a JPEG of the same pixels at quality 75.

    image: the decoded file.
    """
    pixels, coded = image.width * image.height, _COMPRESSED[kind](data)
    return {
        "bytes": {
            "entropy": entropy(data),
            "size": math.log2(len(data)),
            "bytes per pixel": len(data) / pixels,
            "compressed bytes per pixel": coded / pixels,
            f"size against JPEG at quality {_QUALITY}": coded / _as_jpeg(image),
        }
    }


def entropy(data: bytes) -> float:
    """Shannon's, of the single bytes, in bits."""
    counts = np.bincount(np.frombuffer(data, np.uint8), minlength=256)
    shares = counts[counts > 0] / len(data)
    return float(-(shares * np.log2(shares)).sum())


def _as_jpeg(image: Image.Image) -> int:
    buffer = io.BytesIO()
    mode = "L" if image.mode in ("1", "L", "LA", "I;16") else "RGB"
    image.convert(mode).save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return len(buffer.getvalue())
