"""Whatever bytes come: readers of segments, chunks, TIFF and Photoshop's resources end, and say no in one way only."""

import contextlib

import numpy as np
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from PIL import Image

from provenance.embedding.carried import with_thumbnails, without_claims
from provenance.embedding.carried.fitting import made_smaller
from provenance.embedding.carried.rewriting import with_parts
from provenance.embedding.errors import NotMarkableError
from provenance.intake.claims import claims_of, parts_with_claims
from provenance.intake.parts import parts_of
from tests.provenance.embedding.builders import as_bytes, picture
from tests.provenance.embedding.carried.builders import (
    exif,
    exif_of_strips,
    photoshop,
    thumbnail_jpeg,
    with_chunks,
    with_segments,
)
from tests.provenance.embedding.carried.test_claims import CASES, HARMLESS

STARTS = [
    b"",
    b"\xff\xd8",
    b"\xff\xd8\xff\xe0",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\x40\0\0\0WEBP",
    b"RIFF\xff\xff\xff\xffWEBP",
]
any_bytes = st.builds(bytes.__add__, st.sampled_from(STARTS), st.binary(max_size=200))
WHOLE = [*(data for data, _ in CASES.values()), *HARMLESS.values()]
SMALL = picture(1, 16, 12)
THUMB = thumbnail_jpeg(Image.fromarray(SMALL))
BLOCKS = [exif(THUMB), exif(THUMB, ">", behind=bytes(40)), exif_of_strips(SMALL), exif_of_strips(SMALL, "<", 5)]
BEFORE = picture(1)
AFTER = BEFORE.copy()
AFTER[10:30, 10:30] ^= 128
SOURCE, WRITTEN = ({kind: as_bytes(Image.fromarray(one), kind) for kind in ("JPEG", "PNG")} for one in (BEFORE, AFTER))


@st.composite
def damaged(draw, whole: list[bytes]) -> bytes:
    """One of these with some bytes changed, and cut off somewhere."""
    data = bytearray(draw(st.sampled_from(whole)))
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


@budget(max_examples=150, deadline=None)
@given(any_bytes | damaged(WHOLE))
def test_parts_are_the_file_and_claims_can_be_dropped(data):
    parts = parts_of(data)
    assert b"".join(data[part.start : part.end] for part in parts) == data
    assert all(part.start <= part.body <= part.stop <= part.end for part in parts)
    left = without_claims(data)
    assert len(left) <= len(data)
    assert claims_of(left) == ()
    assert with_parts(data, lambda part, payload: payload) is data
    assert set(claims_of(data)) == {claim for _, own in parts_with_claims(data) for claim in own}


def try_thumbnails(kind: str, holder: int | bytes, block: bytes) -> None:
    put = with_segments if kind == "JPEG" else with_chunks
    source, written = (put(pair[kind], (holder, block)) for pair in (SOURCE, WRITTEN))
    with contextlib.suppress(NotMarkableError):
        drawn = with_thumbnails(written, source)
        assert [part.kind for part in parts_of(drawn)] == [part.kind for part in parts_of(written)]


@budget(max_examples=100, deadline=None)
@given(damaged(BLOCKS) | st.binary(max_size=100), st.booleans())
def test_any_exif(block, of_jpeg):
    if of_jpeg:
        try_thumbnails("JPEG", 0xE1, b"Exif\0\0" + block)
    else:
        try_thumbnails("PNG", b"eXIf", block)


@budget(max_examples=60, deadline=None)
@given(damaged([photoshop(THUMB, (16, 12)), photoshop(SMALL.tobytes(), (16, 12), 1033, 0)]))
def test_any_resources(block):
    try_thumbnails("JPEG", 0xED, b"Photoshop 3.0\0" + block[14:])


@budget(max_examples=60, deadline=None)
@given(
    damaged([b"\x10" + THUMB, b"\x11\x10\x0c" + bytes(range(256)) * 3 + bytes(192), b"\x13\x10\x0c" + SMALL.tobytes()])
)
def test_any_first_segments(block):
    for name in (b"JFIF\0", b"JFXX\0"):
        try_thumbnails("JPEG", 0xE0, name + block)


@budget(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 12), st.integers(1, 12))
def test_made_smaller_is_the_mean_of_areas(height, width, rows, columns):
    pixels = np.random.default_rng(height * width).integers(0, 256, (height, width, 2), dtype=np.uint8)
    small = made_smaller(pixels, rows, columns)
    for row in range(rows):
        for column in range(columns):
            top, left = row * height // rows, column * width // columns
            area = pixels[
                top : max((row + 1) * height // rows, top + 1), left : max((column + 1) * width // columns, left + 1)
            ]
            assert np.abs(small[row, column] - area.reshape(-1, 2).mean(axis=0)).max() <= 0.5
