"""PNG: a marked file is written as its source was, chunk by chunk and row by row."""

from provenance.embedding.png.picture import read_png
from provenance.embedding.png.source import PngSource

__all__ = ["PngSource", "read_png"]
