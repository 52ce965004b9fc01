"""Compiling the loops of embedding before the first image needs them: `python -m provenance.embedding.warming`."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from provenance.embedding.marking import mark_image
from provenance.marks import MarkSecret, MarkSettings, families, family_for

_SIDE = 160  # pixels; every family finds room


def small_files() -> Iterator[bytes]:
    """One JPEG for every way of coding that has loops of its own, and PNGs."""
    levels = np.random.default_rng(0).integers(80, 176, (_SIDE, _SIDE, 3), dtype=np.uint8)
    for mode in ("L", "RGB", "CMYK"):
        for options in ({}, {"optimize": True}, {"progressive": True}):
            yield _saved(Image.fromarray(levels).convert(mode), "JPEG", quality=95, **options)
    for mode in ("L", "RGB"):
        yield _saved(Image.fromarray(levels).convert(mode), "PNG")


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def warm() -> None:
    """Mark small pictures with every family; what is compiled for them stays on disk."""
    for name, family in families().items():
        settings = MarkSettings(groups=("one", "two", "three", "four"), family=name)
        secret = MarkSecret.derive(bytes(32), bytes(32), settings)
        for data in small_files():
            if family.marks_grey or Image.open(io.BytesIO(data)).mode != "L":
                mark_image(data, family_for(settings), secret.patterns[0], (0.3, 0.7))


if __name__ == "__main__":
    warm()
