"""Where a thumbnail shows the mark, and pairs of files that carry one: the source and the marked picture."""

import numpy as np
from PIL import Image

from provenance.intake.parts import parts_of
from tests.provenance.embedding.builders import as_bytes
from tests.provenance.embedding.carried.builders import (
    PATCH,
    SIZE,
    marked_pixels,
    source_pixels,
    with_chunks,
    with_segments,
    without_jfif,
)

SMALL = (80, 60)
BLOCKS = 17  # pixels beside the mark that blocks of a JPEG thumbnail reach, with the colours mixed into them
OF_PICTURE = 5  # the same for blocks of a JPEG picture, in a thumbnail of a quarter of its size


def payload_of(data: bytes, kind: str, which: int = 0) -> bytes:
    part = [part for part in parts_of(data) if part.kind == kind][which]
    return data[part.body : part.stop]


def box_of_mark(box: tuple[int, int, int, int]) -> tuple[slice, slice]:
    """Where PATCH lies in a thumbnail whose `box` (top, left, height, width) shows the whole picture."""
    top, left, height, width = box
    rows, columns = PATCH
    down = [top + edge * height / SIZE[1] for edge in (rows.start, rows.stop)]
    across = [left + edge * width / SIZE[0] for edge in (columns.start, columns.stop)]
    return slice(round(down[0]), round(down[1])), slice(round(across[0]), round(across[1]))


def assert_marked(before: np.ndarray, after: np.ndarray, box: tuple[int, int, int, int], spill: int = 1):
    """The mark stands where it belongs, with the picture's contrast; `spill` pixels away all is as before."""
    rows, columns = box_of_mark(box)
    change = np.abs(after.astype(int) - before.astype(int))
    assert change[rows, columns].mean() > 60
    beside = np.ones(change.shape[:2], dtype=bool)
    beside[max(rows.start - spill, 0) : rows.stop + spill, max(columns.start - spill, 0) : columns.stop + spill] = False
    assert beside.any()
    assert not change[beside].any()


def png_pair(block: bytes) -> tuple[bytes, bytes]:
    source, marked = (as_bytes(Image.fromarray(pixels), "PNG") for pixels in (source_pixels(), marked_pixels()))
    return with_chunks(source, (b"eXIf", block)), with_chunks(marked, (b"eXIf", block))


def jpeg_pair(*segments: tuple[int, bytes], bare: bool = False) -> tuple[bytes, bytes]:
    pair = [as_bytes(Image.fromarray(pixels), quality=92) for pixels in (source_pixels(), marked_pixels())]
    source, marked = (with_segments(without_jfif(data) if bare else data, *segments) for data in pair)
    return source, marked
