"""WebP: lossless files are written as they were coded, chunk by chunk; lossy ones are no candidates."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from PIL import Image

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.marking import mark_image
from provenance.embedding.sources import decode, open_source
from provenance.embedding.webp import parse
from provenance.marks import family_for
from tests.provenance.embedding.builders import as_bytes, picture, secret_of

pytestmark = pytest.mark.long

SECRET = secret_of()
FAMILY = family_for(SECRET.settings)
PLACE = (0.4, 0.6)


def image_of(mode: str) -> Image.Image:
    image = Image.fromarray(picture(14))
    if mode == "RGBA":
        image.putalpha(Image.fromarray(picture(16, channels=1)))
    return image


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    at, found = 12, []
    while at + 8 <= 8 + int.from_bytes(data[4:8], "little"):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        found.append((data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + (length & 1)
    return found


def file_of(parts: list[tuple[bytes, bytes]], behind: bytes = b"") -> bytes:
    body = b"WEBP" + b"".join(k + struct.pack("<I", len(b)) + b + b"\0" * (len(b) & 1) for k, b in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body + behind


def marked(data: bytes) -> bytes:
    return mark_image(data, FAMILY, SECRET.patterns[0], PLACE).data


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize(("quality", "method"), [(80, 4), (75, 4), (100, 6), (0, 0)])
def test_a_lossless_file_is_coded_as_it_was(mode, quality, method):
    data = as_bytes(image_of(mode), "WEBP", lossless=True, quality=quality, method=method)
    source = open_source(data)
    assert source.write(source.raster.pixels, (0, 0, *source.raster.pixels.shape[:2])) == data
    before, after = decode(data).pixels, decode(marked(data)).pixels
    assert (before != after).any()
    top, left, height, width = FAMILY.region(*before.shape[:2], PLACE)
    outside = before != after
    outside[top : top + height, left : left + width, :3] = False
    assert not outside.any()


def test_every_other_chunk_stays_byte_for_byte_in_its_order():
    exif = Image.Exif()
    exif[0x010E] = "a cow"
    plain = as_bytes(image_of("RGBA"), "WEBP", lossless=True, exif=exif, icc_profile=b"profile", xmp=b"<x/>")
    first, *rest = chunks(plain)
    data = file_of([first, (b"odd1", b"unknown"), *rest, (b"odd2", b"x")], behind=b"behind the file")
    result = marked(data)
    assert [part for part in chunks(result) if part[0] != b"VP8L"] == [p for p in chunks(data) if p[0] != b"VP8L"]
    assert [kind for kind, _ in chunks(result)] == [kind for kind, _ in chunks(data)]
    assert result.endswith(b"behind the file")
    assert Image.open(io.BytesIO(result)).getexif()[0x010E] == "a cow"


@pytest.mark.parametrize("exact", [False, True])
def test_no_mark_goes_where_alpha_is_zero(exact):
    image = Image.fromarray(picture(14)).convert("RGBA")
    alpha = np.full((40, 48), 255, np.uint8)
    alpha[20:30] = 0
    image.putalpha(Image.fromarray(alpha))
    data = as_bytes(image, "WEBP", lossless=True, exact=exact)
    before, after = decode(data).pixels, decode(marked(data)).pixels
    assert np.array_equal(before[..., 3], after[..., 3])
    if exact:  # else the encoder chooses what does not show
        assert np.array_equal(before[20:30], after[20:30])


@pytest.mark.parametrize("quality", [60, 80, 95])
def test_lossy_files_are_no_candidates_and_the_reason_says_why(quality):
    with pytest.raises(NotMarkableError, match="told apart"):
        marked(as_bytes(image_of("RGB"), "WEBP", quality=quality))


def test_a_file_of_an_unknown_encoder_is_no_candidate():
    """Its hint says that there is alpha where there is none, which libwebp never writes."""
    data = bytearray(as_bytes(image_of("RGB"), "WEBP", lossless=True))
    data[data.index(b"VP8L") + 8 + 4] |= 0x10
    with pytest.raises(NotMarkableError, match="How the WebP was coded"):
        marked(bytes(data))


def test_animations_are_no_candidates():
    frames = [Image.fromarray(picture(seed)) for seed in (1, 2)]
    with pytest.raises(NotMarkableError, match="frames"):
        marked(as_bytes(frames[0], "WEBP", save_all=True, append_images=frames[1:]))


@given(st.binary(max_size=80), st.booleans())
@budget(max_examples=60, deadline=None)
def test_arbitrary_bytes_are_refused(data, is_signed):
    with pytest.raises(NotMarkableError):
        parse((b"RIFF" + struct.pack("<I", len(data) + 4) + b"WEBP") * is_signed + data)


@given(st.integers(0, 3000), st.integers(0, 255))
@budget(max_examples=30, deadline=None)
def test_damaged_files_are_refused_or_written_as_they_were(at, value):
    data = bytearray(as_bytes(image_of("RGBA"), "WEBP", lossless=True))
    data[at % len(data)] = value
    try:
        source = open_source(bytes(data))
    except NotMarkableError:
        return
    assert source.write(source.raster.pixels, (0, 0, *source.raster.pixels.shape[:2])) == data
