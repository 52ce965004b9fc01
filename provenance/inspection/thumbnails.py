"""Small pictures inside a JPEG's segments: there or not, how large, and whether they show what the picture shows."""

import io

import numpy as np
from PIL import Image

from provenance.inspection.features import Features, Rooms
from provenance.inspection.jpeg import walk

_APPLICATIONS = range(0xE0, 0xF0)
_CELLS = 8  # along either side, whose mean levels are compared


def thumbnail_features(data: bytes, image: Image.Image) -> Rooms:
    """Of all thumbnails that are JPEGs themselves. image: the decoded file. Raises what `walk` raises."""
    found = [one for payload in walk(data).of(*_APPLICATIONS) if (one := _thumbnail(payload))]
    features: Features = {"thumbnails": len(found)}
    for number, one in enumerate(found[:2], 1):
        try:
            with Image.open(io.BytesIO(one), formats=["JPEG"]) as small:
                small.load()
        except (OSError, ValueError, SyntaxError):
            features[f"size of thumbnail {number}"] = "unreadable"
            continue
        features[f"size of thumbnail {number}"] = f"{small.width} x {small.height}"
        apart = np.abs(_cells(small) - _cells(image))
        features[f"largest difference of thumbnail {number}"] = float(apart.max() - np.median(apart))
    return {"structure": features, "bytes": {"bytes of thumbnails": sum(len(one) for one in found)}}


def _thumbnail(payload: bytes) -> bytes:
    start = payload.find(b"\xff\xd8\xff")
    stop = payload.rfind(b"\xff\xd9")
    return payload[start : stop + 2] if 0 <= start < stop else b""


def _cells(image: Image.Image) -> np.ndarray:
    shrunk = image.convert("L").resize((_CELLS, _CELLS), Image.Resampling.BOX)
    return np.asarray(shrunk, np.float32)
