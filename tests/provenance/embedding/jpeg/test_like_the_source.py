"""Written without a change a file is the same, byte for byte; with one, all that the change did not touch is."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.jpeg.entropy import read_picture, write_picture
from provenance.embedding.jpeg.huffman import HuffmanTable, standard_tables
from provenance.embedding.jpeg.loops.fitting import optimal_table
from provenance.embedding.jpeg.source import JpegSource
from provenance.embedding.jpeg.structure import parse
from provenance.marks.registry import Rows
from tests.provenance.embedding.jpeg.files import SAMPLINGS, Handmade, encoded, table_segment
from tests.provenance.embedding.jpeg.test_pixels import ADOBE, CODINGS, decoded

pytestmark = pytest.mark.long

BY_PILLOW = [
    {"subsampling": subsampling, "progressive": progressive, "optimize": optimize, "restart_marker_blocks": restart}
    for subsampling, progressive, optimize, restart in itertools.product(
        (0, 1, 2), (False, True), (False, True), (0, 5)
    )
] + [{"keep_rgb": True}, {"qtables": [[2] * 64, [9] * 64, [5] * 64]}, {"restart_marker_rows": 1}, {"quality": 100}]
CUSTOM = [  # no file's own, and none of the standard's: flat codes of four and eight bits
    HuffmanTable(0, 0, bytes([0, 0, 0, 12] + [0] * 12), bytes(range(12))),
    HuffmanTable(1, 0, bytes([0] * 7 + [161] + [0] * 8), bytes([0, *(s for s in range(256) if 0 < s & 15 < 11)])),
    HuffmanTable(0, 1, bytes([0, 0, 0, 12] + [0] * 12), bytes(range(12))),
    HuffmanTable(1, 1, bytes([0] * 7 + [162] + [0] * 8), bytes([0xF0, 0, *(s for s in range(256) if 0 < s & 15 < 11)])),
]
BY_HAND = {
    **{f"sampling {name}": {"factors": factors} for name, factors in SAMPLINGS.items()},
    **{f"coding {name}": options for name, options in CODINGS.items()},
    "extended": {"frame": 0xC1},
    "a scan for each plane": {"interleaved": False},
    "scans, sampled, restarts": {"interleaved": False, "factors": SAMPLINGS["4:1:0"], "interval": 3},
    "restarts": {"interval": 2},
    "fill bytes": {"interval": 2, "fill": 3},
    "padded with zeros": {"pad": 0},
    "comments between scans": {"interleaved": False, "between": b"\xff\xfe\0\4hi"},
    "tables between scans": {"interleaved": False, "between": table_segment(*standard_tables())},
    "tables not by number": {"quantiser": (1, 0, 1)},
    "bytes behind": {"behind": bytes(64) + b"\xff\xd8\xff\xd9"},
    "unknown segment": {"before": b"\xff\xe9\0\6abcd\xff\xff\xff\xed\0\3x"},
    "other tables": {"tables": CUSTOM},
}


def rows_of(wanted: np.ndarray) -> Rows:
    def mix(pixels: np.ndarray, first: int, top: int, out: np.ndarray) -> None:
        out[...] = wanted[top : top + len(out)]

    return Rows(0, mix)


def source_bytes(case: dict | str) -> bytes:
    return Handmade(45, 70, **BY_HAND[case]).data() if isinstance(case, str) else encoded(45, 70, **case)


def coefficients(data: bytes) -> list[np.ndarray]:
    picture = read_picture(data, parse(data))
    return [plane.blocks(picture.coefs) for plane in picture.planes]


CASES = pytest.mark.parametrize("case", [*BY_PILLOW, *BY_HAND], ids=str)


@CASES
def test_unchanged_it_is_the_same_file(case):
    data = source_bytes(case)
    picture = read_picture(data, parse(data))
    assert write_picture(picture, picture.coefs, None) == data
    whole = JpegSource(data).raster.pixels
    assert JpegSource(data).write(whole, (0, 0, *whole.shape[:2])) == data


@CASES
def test_a_change_stays_in_its_blocks(case):
    data, region = source_bytes(case), (10, 20, 9, 17)
    source = JpegSource(data, lambda *size: region)
    before = source.window(region).pixels
    wanted = before ^ np.uint8(0x60)
    change = source.changed(rows_of(wanted), region)
    result = change.write()
    written, seen, squared = result.data, result.seen.after, result.squared
    assert np.array_equal(result.seen.before, before)
    first, second = decoded(data).astype(int), decoded(written).astype(int)
    assert np.array_equal(seen, second[10:19, 20:37])
    assert squared == ((first - second) ** 2).sum() > 0
    assert np.abs(seen - wanted.astype(int)).mean() < np.abs(before - wanted.astype(int)).mean()
    self_made = JpegSource(data)  # the same with all coefficients at hand
    whole = self_made.raster.pixels.copy()
    whole[10:19, 20:37] = wanted
    assert self_made.write(whole, region) == written

    one, two = parse(data), parse(written)
    assert [segment.marker for segment in one.segments] == [segment.marker for segment in two.segments]
    assert (one.frame, one.steps, len(one.scans)) == (two.frame, two.steps, len(two.scans))
    for plane, own, other in zip(
        JpegSource(data)._decoder.planes, coefficients(data), coefficients(written), strict=True
    ):
        down, across = (8 * factor for factor in plane.factors)
        differs = (own != other).any(axis=2)
        differs[10 // down : 18 // down + 1, 20 // across : 36 // across + 1] = False
        assert not differs.any()


@pytest.mark.parametrize(
    "options", [{"optimize": True}, {"progressive": True}, {"optimize": True, "progressive": True}]
)
def test_tables_are_fitted_again_where_they_were(options):
    """As they would be had the encoder seen the new coefficients: a file of fitted tables is a fixed point."""
    data = encoded(64, 80, **options)
    written = JpegSource(data).write(255 - JpegSource(data).raster.pixels, (0, 0, 64, 80))
    picture = read_picture(written, parse(written))
    used = {n for scan in parse(written).scans for n in (*scan.dc, *scan.ac)} - {-1}
    assert picture.fitted == used
    assert written != data


def test_fitted_tables_are_those_of_libjpeg():
    data = encoded(64, 80, optimize=True)
    picture = read_picture(data, parse(data))
    assert len(picture.fitted) == 4


@pytest.mark.parametrize(
    "case", [{}, {"restart_marker_blocks": 3}, *({"tables": CUSTOM, "interval": i} for i in (0, 4))]
)
def test_tables_of_general_use_stay(case):
    data = Handmade(45, 70, **case).data() if "tables" in case else encoded(45, 70, **case)
    written = JpegSource(data).write(255 - JpegSource(data).raster.pixels, (0, 0, 45, 70))
    one, two = parse(data), parse(written)
    assert [(t.counts, t.symbols) for t in one.tables] == [(t.counts, t.symbols) for t in two.tables]
    assert [scan.interval for scan in one.scans] == [scan.interval for scan in two.scans]


def test_bits_before_a_change_are_not_touched():
    data = encoded(300, 300)
    source = JpegSource(data, lambda *size: (200, 0, 16, 16))
    written = source.write(255 - source.raster.pixels, (200, 0, 16, 16))
    shared = next(at for at, (one, two) in enumerate(zip(data, written, strict=False)) if one != two)
    assert shared > 0.6 * len(data)


@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"progressive": True}])
def test_blocks_outside_the_picture_follow_as_the_encoder_had_them(options):
    data = encoded(37, 37, subsampling=2, **options)
    source = JpegSource(data)
    written = source.write(255 - source.raster.pixels, (0, 0, 37, 37))
    for luma in (coefficients(data)[0], coefficients(written)[0]):
        assert luma.shape[:2] == (6, 6)
        assert not luma[5, :, 1:].any()
        assert not luma[:, 5, 1:].any()
        assert (luma[:5, 5, 0] == luma[:5, 4, 0]).all()
        assert (luma[5, :, 0] == luma[4, 1::2, 0].repeat(2)).all()
    assert (coefficients(data)[0][:, 5] != coefficients(written)[0][:, 5]).any()


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_what_is_asked_for_is_seen(subsampling):
    """At fine quantisation, wherever the sampling can show it."""
    data = encoded(48, 48, quality=98, subsampling=subsampling)
    source = JpegSource(data)
    wanted = np.clip(source.raster.pixels.astype(int) + np.array([14, -9, 6]), 0, 255).astype(np.uint8)
    seen = decoded(source.write(wanted, (0, 0, 48, 48)))
    assert np.abs(seen.astype(int) - wanted).mean() < 1.5


def test_the_optimal_table_has_known_lengths():
    counted = np.zeros(256, np.int64)
    counted[[0, 1, 2, 3]] = 8, 4, 2, 1
    lengths, symbols = optimal_table(counted)
    assert lengths.tolist()[:5] == [1, 1, 1, 1, 0]
    assert symbols.tolist() == [0, 1, 2, 3]


def test_an_unknown_fitting_is_passed_over():
    """Tables with codes for this file's symbols alone, and yet not those of libjpeg."""
    data = encoded(45, 70, optimize=True)
    structure = parse(data)
    table = structure.tables[-1]
    at = data.index(table.counts + table.symbols)
    turned = bytearray(table.symbols)
    first = table.counts[0] + table.counts[1]
    turned[first], turned[first + 1] = turned[first + 1], turned[first]
    with pytest.raises(NotMarkableError):
        JpegSource(data[: at + 16] + bytes(turned) + data[at + 16 + len(turned) :])


def test_pillow_opens_what_is_written():
    data = Handmade(45, 70, before=ADOBE[1], interval=4).data()
    source = JpegSource(data)
    written = source.write(255 - source.raster.pixels, (0, 0, 45, 70))
    with Image.open(io.BytesIO(written)) as image:
        assert image.size == (70, 45)
        assert image.info["adobe_transform"] == 1
