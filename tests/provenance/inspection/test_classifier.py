"""Files that are alike are called alike, and every planted tell is found."""

import numpy as np
import pytest

from provenance.inspection.classifier import tell_apart
from provenance.inspection.errors import InspectionError
from provenance.inspection.files import file_features
from tests.provenance.embedding.builders import as_bytes
from tests.provenance.inspection.builders import (
    exif_of,
    jpeg_of,
    png_by_hand,
    png_of,
    textured,
    with_thumbnail,
    without_exif,
)

pytestmark = pytest.mark.long

EACH = 40  # files of either kind


def found_in(others, marked, seed=1):
    rows = [file_features(one) for one in (*others, *marked)]
    return tell_apart(rows, [False] * len(others) + [True] * len(marked), seed)


def webp_of(seed: int, **options) -> bytes:
    return as_bytes(textured(seed), "WEBP", **options)


TELLS = {
    "restart markers lost": (lambda n: jpeg_of(n, restart_marker_blocks=4), jpeg_of, "restart"),
    "standard Huffman tables": (jpeg_of, lambda n: jpeg_of(n, optimize=False), "Huffman"),
    "a thumbnail gone": (with_thumbnail, lambda n: without_exif(with_thumbnail(n)), "thumbnail"),
    "a thumbnail of another picture": (with_thumbnail, lambda n: _turned(with_thumbnail(n)), "thumbnail"),
    "progressive scans gone": (lambda n: jpeg_of(n, progressive=True), jpeg_of, "frame"),
    "full colour": (lambda n: jpeg_of(n, subsampling=2), lambda n: jpeg_of(n, subsampling=0), "sampling"),
    "other tables": (jpeg_of, lambda n: jpeg_of(n, quality=86), "quantisation"),
    "bytes behind the end": (lambda n: jpeg_of(n) + bytes(16), jpeg_of, "behind"),
    "PNG level": (lambda n: png_of(n, compress_level=9), lambda n: png_of(n, compress_level=6), "zlib"),
    "row filters": (lambda n: png_by_hand(n, lambda row: row % 3), png_by_hand, "filter"),
    "sizes of IDAT": (lambda n: png_by_hand(n, piece=512), lambda n: png_by_hand(n, piece=4096), "IDAT"),
    "WebP quality": (lambda n: webp_of(n, quality=80), lambda n: webp_of(n, quality=90), "quantiser"),
    "WebP chunks": (lambda n: webp_of(n, quality=80, xmp=b"<x/>"), lambda n: webp_of(n, quality=80), "XMP"),
}


def _turned(data: bytes) -> bytes:
    """The same segments in front of another picture."""
    other = jpeg_of(len(data))
    return data[: exif_of(data)[1]] + other[other.index(b"\xff\xdb") :]


@pytest.mark.parametrize("tell", TELLS)
def test_a_planted_tell_is_found_and_named(tell):
    usual, told, word = TELLS[tell]
    found = found_in([usual(n) for n in range(EACH)], [told(n) for n in range(EACH, 2 * EACH)])
    assert found.outcome == "apart"
    assert found.auc > 0.95
    assert any(word in name and auc > 0.95 for name, auc in found.strongest), found.strongest


def test_a_tell_in_a_quarter_of_the_files_is_found():
    """As CIFAR's full colour was: 80 of 300."""
    marked = [jpeg_of(n, subsampling=0 if n % 4 == 0 else 2) for n in range(240)]
    found = found_in([jpeg_of(n, subsampling=2) for n in range(240, 480)], marked)
    assert found.outcome == "apart", found


def test_files_of_one_kind_are_not_told_apart():
    areas = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        files = [jpeg_of(n) for n in rng.permutation(160)]
        found = found_in(files[:80], files[80:], seed)
        areas.append(found.auc)
        assert found.low <= 0.5 <= found.high
        assert found.outcome == "unsettled"  # 40 of either kind cannot show that nobody can
    assert abs(np.mean(areas) - 0.5) < 0.08


def test_many_files_that_are_all_alike_are_called_alike():
    found = tell_apart([{"structure: format": "JPEG", "bytes: size": 1.0}] * 3000, [True, False] * 1500, 1)
    assert (found.auc, found.outcome, found.columns) == (0.5, "alike", 0)
    assert found.strongest == ()


def test_the_same_seed_finds_the_same_and_counts_every_file():
    files = [jpeg_of(n) for n in range(60)]
    one, two = found_in(files[:25], files[25:], 3), found_in(files[:25], files[25:], 3)
    assert one == two
    assert (one.marked, one.others, one.marked_tested, one.others_tested, one.seed) == (35, 25, 18, 13, 3)


@pytest.mark.filterwarnings("error")
def test_a_number_that_one_file_alone_has_stops_nothing():
    """Folds without that file have a column without a number."""
    rows = [{"bytes: size": float(n % 7)} for n in range(60)]
    rows[7]["bytes: size of thumbnail"] = 9.0
    assert {tell_apart(rows, [n % 2 == 0 for n in range(60)], seed).columns for seed in range(4)} == {1, 2}


@pytest.mark.parametrize("marked", [0, 19, 41])
def test_too_few_files_are_refused(marked):
    with pytest.raises(InspectionError, match="at least 20 marked files"):
        tell_apart([{"a": 1.0}] * 60, [n < marked for n in range(60)], 1)
