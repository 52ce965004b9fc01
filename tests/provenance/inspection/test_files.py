"""What is read of one file."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from provenance.canonical import canonical_json
from provenance.inspection.files import file_features, place_features
from tests.provenance.embedding.builders import as_bytes
from tests.provenance.inspection.builders import jpeg_of, png_by_hand, png_of, textured, with_thumbnail

FILES = {
    "baseline": lambda: jpeg_of(1),
    "progressive": lambda: jpeg_of(1, progressive=True),
    "restart": lambda: jpeg_of(1, restart_marker_blocks=3),
    "thumbnail": lambda: with_thumbnail(1),
    "grey": lambda: as_bytes(textured(1).convert("L"), "JPEG"),
    "CMYK": lambda: as_bytes(textured(1).convert("CMYK"), "JPEG"),
    "RGB-coded": lambda: jpeg_of(1, keep_rgb=True),
    "png": lambda: png_of(1),
    "grey png": lambda: as_bytes(textured(1).convert("L"), "PNG"),
    "palette": lambda: as_bytes(textured(1).quantize(16), "PNG"),
    "one bit": lambda: as_bytes(textured(1).convert("1"), "PNG"),
    "16 bits": lambda: as_bytes(Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)), "PNG"),
    "alpha": lambda: as_bytes(textured(1).convert("RGBA"), "PNG"),
    "webp": lambda: as_bytes(textured(1), "WEBP", quality=70),
    "lossless webp": lambda: as_bytes(textured(1), "WEBP", lossless=True),
    "webp with alpha": lambda: as_bytes(_see_through(), "WEBP", quality=70),
    "tiny": lambda: as_bytes(Image.new("RGB", (3, 2), "red"), "JPEG"),
}


def _see_through() -> Image.Image:
    image = textured(1).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_is_read_whole_and_can_be_stored(name):
    features = file_features(FILES[name]())
    assert not [key for key in features if "cannot be read" in key or "decodes" in key]
    assert {"bytes: entropy", "bytes: compressed bytes per pixel", "structure: bytes behind the end"} <= set(features)
    canonical_json(features)  # no NaN, no number of NumPy


def test_a_jpeg_tells_its_coding():
    plain, restart = file_features(jpeg_of(1, optimize=False)), file_features(jpeg_of(1, restart_marker_blocks=3))
    assert plain["structure: Huffman tables"] == "standard"
    assert restart["structure: Huffman tables"] == "own"
    assert plain["structure: sampling"] == "2x2 1x1 1x1"
    assert (plain["structure: restart markers"], restart["structure: restart interval"]) == (0, 3)
    assert restart["structure: restart markers"] == -(-4 * 4 // 3) - 1
    assert plain["structure: markers"] == "JFIF DB DB C0 C4 C4 C4 C4 DA D9"
    assert file_features(jpeg_of(1, progressive=True))["structure: number of scans"] == 10


def test_a_jpeg_coded_once_hardly_changes_and_one_of_noise_clipped_at_the_ends_does():
    smooth = file_features(jpeg_of(1, quality=75))["bytes: coefficients that change in plane 1"]
    rng = np.random.default_rng(1)
    harsh = Image.fromarray((rng.integers(0, 2, (64, 64)) * 255).astype(np.uint8))
    assert smooth < 0.001
    assert file_features(as_bytes(harsh, "JPEG", quality=30))["bytes: coefficients that change in plane 1"] > 0.01


def test_coefficients_are_those_of_the_table():
    """At a coarse table nearly all of them are zero."""
    coarse = file_features(jpeg_of(1, quality=10))["pictures: zeros of first plane"]
    fine = file_features(jpeg_of(1, quality=98))["pictures: zeros of first plane"]
    assert fine < 0.5 < 0.9 < coarse


def test_a_png_tells_its_filters_and_its_compressor():
    own = file_features(png_by_hand(1, lambda row: row % 3, piece=700, tail=bytes(64)))
    assert own["bytes: rows with filter sub"] == pytest.approx(19 / 56)
    assert own["bytes: compressed as zlib would"].startswith("at ")
    assert own["structure: zlib header"] == "78da"
    assert own["bytes: size of the first IDAT"] == 700
    assert own["structure: bytes behind the end"] == 64
    assert own["bytes: the same without average"] < 0.5
    assert file_features(png_of(1))["bytes: the same without average"] == 1  # as Pillow chooses


def test_a_webp_tells_its_quantiser():
    coarse, fine = (file_features(as_bytes(textured(1), "WEBP", quality=q)) for q in (20, 90))
    assert coarse["structure: quantiser"] > fine["structure: quantiser"] > 0
    assert coarse["structure: partitions"] == "1"
    assert file_features(as_bytes(textured(1), "WEBP", lossless=True))["structure: coding"] == "lossless"


def test_time_and_permissions_are_asked_of_the_copy(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"")
    file.chmod(0o640)
    found = place_features(file.stat())
    assert found["place: permissions"] == "0o640"
    assert found["place: day of the last change"] == pytest.approx(file.stat().st_mtime / 86400)


@settings(max_examples=40)
@example("png", 16, b"][+\x00u")  # a width beyond what memory could hold
@given(st.sampled_from(sorted(FILES)), st.integers(0, 4000), st.binary(max_size=6))
def test_a_damaged_file_says_so_and_stops_nothing(name, at, put):
    data = FILES[name]()
    cut = at % len(data)
    for damaged in (data[:cut], data[:cut] + put + data[cut + len(put) :]):
        features = file_features(damaged)
        assert features["structure: format"]
        canonical_json(features)


def test_other_bytes_are_of_an_unknown_format():
    assert file_features(b"GIF89a") == {"structure: format": "unknown"}
