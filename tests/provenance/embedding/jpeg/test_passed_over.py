"""What could not be written like itself is no candidate, each with its reason; nothing else ever goes wrong."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.jpeg.source import JpegSource
from provenance.embedding.jpeg.structure import parse
from tests.provenance.embedding.jpeg.files import SAMPLINGS, Handmade, encoded, segment

PLAIN = Handmade(24, 40).data()
START_OF_FRAME = PLAIN.index(b"\xff\xc0")
FRAME = PLAIN[START_OF_FRAME : START_OF_FRAME + 19]
SPECTRUM = PLAIN.index(b"\0\x3f\0", PLAIN.index(b"\xff\xda"))


def with_frame(marker: int = 0xC0, precision: int = 8, height: int = 24) -> bytes:
    frame = bytes([0xFF, marker, 0, 17, precision, 0, height])
    return PLAIN[:START_OF_FRAME] + frame + PLAIN[START_OF_FRAME + 7 :]


def refused(data: bytes) -> str:
    with pytest.raises(NotMarkableError) as raised:
        JpegSource(data)
    return raised.value.sentence


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (with_frame(0xC9), "arithmetic coding"),
        (with_frame(0xCA), "arithmetic coding"),
        (PLAIN.replace(b"\xff\xdb", segment(0xCC, b"\0\0") + b"\xff\xdb", 1), "arithmetic coding"),
        (with_frame(0xC3), "lossless"),
        (with_frame(0xC5), "hierarchical"),
        (PLAIN.replace(b"\xff\xdb", segment(0xDE, bytes(8)) + b"\xff\xdb", 1), "hierarchical"),
        (with_frame(0xC1, precision=12), "12 bits"),
        (with_frame(height=0), "size"),
        (PLAIN.replace(b"\xff\xd9", segment(0xDC, b"\0\x18") + b"\xff\xd9"), "height behind"),
        (PLAIN.replace(FRAME, 2 * FRAME), "frame"),
        (Handmade(24, 40, factors=[(2, 2), (1, 1)], identifiers=b"\1\2").data(), "2 colour planes"),
        (Handmade(24, 40, factors=[(3, 1), (2, 1), (1, 1)]).data(), "fractions"),
        (PLAIN[: PLAIN.index(b"\xff\xda")] + b"\xff\xd9", "all of its image"),
        (PLAIN[:-2], "ends before"),
        (PLAIN[:100], "ends before"),
        (b"\xff\xd8", "ends before"),
        (b"", "no JPEG"),
        (b"\x89PNG\r\n\x1a\n", "no JPEG"),
        (encoded(24, 40, progressive=True).replace(b"\xff\xc4", b"\xff\xfe", 1), "scans"),
        (PLAIN.replace(b"\xff\xdb", b"\xff\xfe", 1), "lacks a quantisation table"),
    ],
)  # fmt: skip
def test_each_has_its_reason(data, reason):
    assert reason in refused(data)


def test_files_without_huffman_tables_have_those_of_the_standard():
    """As frames of films in JPEG do, which libjpeg-turbo reads."""
    at = PLAIN.index(b"\xff\xc4")
    data = PLAIN[:at] + PLAIN[PLAIN.index(b"\xff\xda") :]
    source = JpegSource(data)
    assert np.array_equal(source.raster.pixels, JpegSource(PLAIN).raster.pixels)
    written = source.write(255 - source.raster.pixels, (0, 0, 24, 40))
    assert b"\xff\xc4" not in written[: written.index(b"\xff\xda")]


@pytest.mark.parametrize(
    "data",
    [
        PLAIN[:-40] + b"\xff\xd9",  # cut off
        PLAIN[:-2] + b"\0\0\xff\xd9",  # more than the picture needs
        Handmade(24, 40, interval=2).data().replace(b"\xff\xd1", b"\xff\xd3"),
        Handmade(24, 40, interval=2).data().replace(b"\xff\xd1", b""),
        encoded(24, 40, progressive=True)[:-30] + b"\xff\xd9",
    ],
)
def test_damaged_scans(data):
    refused(data)


def test_blocks_whose_zeros_are_spelt_out():
    """A run of sixteen zeros before a block's end is allowed, and no encoder that is known here writes it."""
    made = Handmade(8, 8, factors=[(1, 1)], identifiers=b"\1")
    made.coefs[0][...] = 0
    data = made.data()
    scan = data.index(b"\xff\xda") + 10
    assert data[scan:] == b"\x2b\xff\xd9"  # 00 for no difference, 1010 for the end of the block, then ones
    zeros = 0b00_11111111001_1010_1111111  # 11111111001: sixteen zeros
    JpegSource(data)
    assert "could not be written like itself" in refused(data[:scan] + zeros.to_bytes(3, "big") + b"\xff\xd9")


def test_a_progressive_file_without_its_last_scans():
    data = encoded(64, 64, progressive=True)
    last = data.rindex(b"\xff\xc4")
    assert "all of its image" in refused(data[:last] + b"\xff\xd9")


def test_no_code_for_what_is_new():
    """Tables of general use that lack a code: the image is passed over, not given other tables."""
    from tests.provenance.embedding.jpeg.test_like_the_source import CUSTOM

    table = CUSTOM[3]
    spare = bytes([*table.symbols[:-1], 0xFB])  # a symbol that no image has, for the longest run of the largest numbers
    few = type(table)(1, 1, table.counts, spare)
    used = Handmade(24, 40, tables=[*CUSTOM[:3], few])
    source = JpegSource(used.data())
    assert source.write(source.raster.pixels, (0, 0, 24, 40)) == used.data()
    least = type(table)(1, 0, bytes([0, 0, 3] + [0] * 13), bytes([0, 1, 2]))
    flat = Handmade(24, 40, tables=[CUSTOM[0], least, *CUSTOM[2:]])
    for plane in flat.coefs:
        plane[..., 1:] = 0
    source = JpegSource(flat.data())
    rng = np.random.default_rng(0)
    with pytest.raises(NotMarkableError, match="no codes"):
        source.write(rng.integers(0, 256, (24, 40, 3), dtype=np.uint8), (0, 0, 24, 40))


@given(st.binary(max_size=200))
@budget(max_examples=100, deadline=None)
def test_any_bytes_are_read_or_refused(data):
    for start in (b"", b"\xff\xd8", PLAIN[:START_OF_FRAME], PLAIN[: SPECTRUM + 3]):
        with contextlib.suppress(NotMarkableError):
            parse(start + data)


FILES = [
    PLAIN,
    Handmade(24, 40, factors=SAMPLINGS["4:1:0"], interval=2, interleaved=False).data(),
    encoded(24, 40, progressive=True),
    encoded(24, 40, optimize=True, restart_marker_blocks=2),
]


@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), max_size=4),
    st.integers(0, 9),
)
@budget(max_examples=150, deadline=None)
def test_damage_is_written_like_itself_or_refused(data, changes, cut):
    damaged = bytearray(data)
    for at, value in changes:
        damaged[at % len(damaged)] = value
    damaged = damaged[: len(damaged) - cut]
    with contextlib.suppress(NotMarkableError):
        source = JpegSource(bytes(damaged))
        if source.size[0] * source.size[1] < 10**6:
            assert source.write(source.raster.pixels, (0, 0, *source.size)) == damaged
