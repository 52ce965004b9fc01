"""What the structure of an image file says, against what Pillow says of the same bytes."""

import io
import os
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from provenance.intake import decoding
from provenance.intake.decoding import Decoder
from provenance.intake.errors import Refused
from provenance.intake.images import Doubtful, ImageFacts, exif_orientation, inspect, sniff

from .samples import encoded, jpeg, picture

pytestmark = pytest.mark.long


def exif(orientation: int) -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(bits: int, colour: int, width: int = 5, height: int = 3) -> bytes:
    """A PNG of any bit depth and colour type, which Pillow itself cannot all write."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row = b"\0" + bytes((width * channels * bits + 7) // 8)
    chunks = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    if colour == 3:
        chunks += png_chunk(b"PLTE", bytes(3 * 2))
    return b"\x89PNG\r\n\x1a\n" + chunks + png_chunk(b"IDAT", zlib.compress(row * height)) + png_chunk(b"IEND", b"")


SORTS = {
    "jpeg": (jpeg(), "RGB"),
    "jpeg progressive": (jpeg(progressive=True), "RGB"),
    "jpeg grey": (encoded(picture(mode="L")), "L"),
    "jpeg cmyk": (encoded(picture(mode="CMYK")), "CMYK"),
    "jpeg 4:4:4 with restarts": (jpeg(subsampling=0, restart_marker_blocks=1), "RGB"),
    "jpeg optimised": (jpeg(optimize=True, quality=95), "RGB"),
    "png rgb": (encoded(picture(), "PNG"), "RGB"),
    "png palette": (encoded(picture(mode="P"), "PNG"), "P"),
    "png alpha": (encoded(picture(mode="RGBA"), "PNG"), "RGBA"),
    "png grey alpha": (encoded(picture(mode="LA"), "PNG"), "LA"),
    "png bilevel": (encoded(picture(mode="1"), "PNG"), "1"),
    "webp": (encoded(picture(), "WEBP"), "RGB"),
    "webp lossless": (encoded(picture(), "WEBP", lossless=True), "RGB"),
    "webp alpha": (encoded(picture(mode="RGBA"), "WEBP"), None),
    "webp lossless alpha": (encoded(Image.new("RGBA", (9, 7), (1, 2, 3, 4)), "WEBP", lossless=True), "RGBA"),
}


@pytest.mark.parametrize("sort", SORTS)
def test_facts_agree_with_pillow(sort):
    data, mode = SORTS[sort]
    facts, _ = inspect(data)
    with Image.open(io.BytesIO(data)) as image:
        assert facts == ImageFacts(image.format or "", image.width, image.height, image.mode)
    assert mode in (None, facts.mode)


_LAYOUTS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # colour type: bit depths


@pytest.mark.parametrize(
    ("bits", "colour"),
    [(bits, colour) for colour, depths in _LAYOUTS.items() for bits in depths],
)
def test_every_png_layout_agrees_with_pillow_and_with_the_decoder(tmp_path, bits, colour):
    data = png(bits, colour)
    facts, _ = inspect(data)
    with Image.open(io.BytesIO(data)) as image:
        assert facts.mode == image.mode
    assert facts.bits == (16 if bits == 16 else 8)
    (tmp_path / "a.png").write_bytes(data)
    with Decoder() as decoder:
        assert decoder.decode([os.fsencode(tmp_path / "a.png")]) == [facts]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_orientation_is_recorded(kind, orientation):
    facts, _ = inspect(encoded(picture(), kind, exif=exif(orientation)))
    assert facts.orientation == orientation
    assert (facts.width, facts.height) == (24, 16)  # as stored


@pytest.mark.parametrize("sort", SORTS)
def test_no_beginning_of_a_file_passes(tmp_path, sort):
    """Cut anywhere, a file is refused at once, or doubtful and then refused by the decoder."""
    data = SORTS[sort][0]
    doubtful = []
    for length in range(1, len(data), max(1, len(data) // 150)):
        try:
            inspect(data[:length])
        except Refused:
            continue
        except Doubtful:
            path = tmp_path / f"{length}"
            path.write_bytes(data[:length])
            doubtful.append(os.fsencode(path))
        else:
            pytest.fail(f"cut at {length} of {len(data)} passes")
    with Decoder() as decoder:
        assert all(isinstance(verdict, Refused) for verdict in decoder.decode(doubtful))


def test_a_jpeg_with_bytes_behind_its_end_is_settled_by_the_decoder(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg() + b"\0" * 100)
    with pytest.raises(Doubtful):
        inspect(jpeg() + b"\0" * 100)
    with Decoder() as decoder:
        assert decoder.decode([os.fsencode(tmp_path / "a.jpg")]) == [ImageFacts("JPEG", 24, 16, "RGB")]


def test_a_flipped_bit_in_a_png_is_found():
    data = bytearray(encoded(picture(), "PNG"))
    data[len(data) // 2] ^= 1
    with pytest.raises(Refused, match="checksum"):
        inspect(bytes(data))


def test_the_pixel_cap_holds_before_anything_is_decoded(tmp_path):
    bomb = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + bomb + png_chunk(b"IDAT", zlib.compress(b"\0" * 100)) + png_chunk(b"IEND", b"")
    with pytest.raises(Refused, match="pixels are taken"):
        inspect(bomb)
    with pytest.raises(Refused, match="at most 100 pixels"):
        inspect(jpeg(), 100)
    (tmp_path / "bomb.png").write_bytes(bomb)
    with Decoder() as decoder:
        (verdict,) = decoder.decode([os.fsencode(tmp_path / "bomb.png")])
    assert isinstance(verdict, Refused)
    assert "pixels" in verdict.reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"PK\x03\x04" + bytes(30), "archive"),
        (b"\x1f\x8b" + bytes(30), "archive"),
        (b"GIF89a" + bytes(30), "GIF"),
        (b"II*\x00" + bytes(30), "TIFF"),
        (b"<svg xmlns=", "not an image"),
        (bytes(257) + b"ustar" + bytes(40), "archive"),
        (bytes(4) + b"ftypheic", "HEIC"),
    ],
)
def test_foreign_files_are_refused_with_what_they_are(data, reason):
    with pytest.raises(Refused, match=reason):
        sniff(data)


def test_animations_are_refused():
    frames = [picture(seed) for seed in (1, 90, 180)]
    for kind in ("WEBP", "PNG"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        with pytest.raises(Refused, match="animated"):
            inspect(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", jpeg()[:2], jpeg()[:200], SORTS["png rgb"][0][:40]]))
def test_garbage_never_raises_anything_else(tail, head):
    try:
        inspect(head + tail)
    except (Refused, Doubtful):
        pass
    else:
        pytest.fail("garbage passed")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_exif_garbage_means_no_orientation_or_a_valid_one(block):
    assert 1 <= exif_orientation(b"II*\0" + block) <= 8


def test_a_decoder_that_dies_condemns_one_file_and_goes_on(tmp_path, monkeypatch):
    """The memory limit kills the large one; its neighbours in the same batch are judged."""
    paths = []
    for name, size in (("a", (30, 30)), ("b", (9000, 9000)), ("c", (40, 40))):
        path = tmp_path / f"{name}.png"
        path.write_bytes(encoded(Image.new("RGB", size), "PNG"))
        paths.append(os.fsencode(path))
    with Decoder() as decoder:
        large = decoder.decode(paths)
    monkeypatch.setattr(decoding, "MEMORY", 200 << 20)
    with Decoder() as decoder:
        small = decoder.decode(paths)
    assert [type(verdict).__name__ for verdict in small] == ["ImageFacts", "Refused", "ImageFacts"]
    assert "memory" in str(small[1])
    assert [verdict.width for verdict in large if isinstance(verdict, ImageFacts)] == [30, 9000, 40]


def test_a_decoder_that_takes_too_long_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "SECONDS", 1)
    path = tmp_path / "a.png"
    path.write_bytes(encoded(Image.effect_noise((5000, 5000), 90), "PNG", compress_level=1))
    os.mkfifo(tmp_path / "pipe")
    with Decoder() as decoder:
        verdicts = decoder.decode([os.fsencode(tmp_path / "pipe"), os.fsencode(path)])
    assert isinstance(verdicts[0], Refused)
    assert isinstance(verdicts[1], ImageFacts)
