"""PNG without alpha in which one colour stands for transparent: the same pixels are transparent after marking."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.marking import MarkedImage, mark_image
from provenance.embedding.sources import decode
from provenance.embedding.survival import MIN_SURVIVAL, psnr
from provenance.marks import families, family_for
from tests.provenance.embedding.builders import as_bytes, picture
from tests.provenance.embedding.test_every_family import PLACE, secret_of

pytestmark = pytest.mark.long

NAMES = sorted(families())
GREY = ("L", "I;16", "2 bits", "4 bits")
NO_MARK = [("spectral", mode) for mode in GREY]  # its waves are colours alone
FEW_COLOURS = ("P", "2 bits", "4 bits")  # and no other is added
KEY = (131, 128, 128)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(rows: np.ndarray, depth: int, colour: int, key: tuple[int, ...], width: int) -> bytes:
    """A PNG of packed rows, (height, bytes) uint8, and the transparent colour in the file's own levels."""
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    data = zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes())
    parts = [(b"IHDR", header), (b"tRNS", struct.pack(f">{len(key)}H", *key)), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def packed(levels: np.ndarray, depth: int, key: int) -> bytes:
    """Grey levels of `depth` bits as a PNG; an even number of bytes to the row."""
    bits = np.unpackbits(levels.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
    return png(np.packbits(bits.reshape(len(levels), -1), axis=1), depth, 0, (key,), levels.shape[1])


def transparent(data: bytes) -> np.ndarray:
    """Which pixels a viewer does not show, as the PNG specification has it; (H, W) bool."""
    image = Image.open(io.BytesIO(data))
    image.load()
    if image.mode in ("P", "RGBA"):
        return np.asarray(image.convert("RGBA"))[..., 3] == 0
    at = data.index(b"tRNS")
    key = struct.unpack(
        f">{3 if image.mode == 'RGB' else 1}H", data[at + 4 : at + 4 + (6 if image.mode == "RGB" else 2)]
    )
    depth = data[24]
    scale = 255 // (2**depth - 1) if depth < 8 else 1  # Pillow spreads few levels over 256
    levels = np.asarray(image).reshape(image.height, image.width, -1)
    return (levels == np.array([level % 2**depth * scale for level in key])).all(2)


def logo(mode: str, seed: int = 1, height: int = 90, width: int = 120) -> bytes:
    """A picture with a round hole of the transparent colour where `PLACE` is, and a transparent edge."""
    pixels = picture(seed, width, height).copy()
    down, across = np.indices((height, width))
    hole = (np.hypot(down - 0.25 * height, across - 0.62 * width) < 5) | (down > 0.95 * height)
    grey = pixels[..., 1].copy()
    if mode in ("RGB", "P"):
        pixels[hole] = KEY
        if mode == "RGB":
            return as_bytes(Image.fromarray(pixels), "PNG", transparency=KEY)
        image = Image.fromarray(pixels).quantize(32)
        return as_bytes(image, "PNG", transparency=int(np.asarray(image)[hole][0]))
    if mode == "I;16":
        levels = grey.astype(np.uint16) * 257
        levels[hole] = 30_000
        return as_bytes(Image.fromarray(levels), "PNG", transparency=30_000)
    if mode == "L":
        grey[hole] = 120
        return as_bytes(Image.fromarray(grey), "PNG", transparency=120)
    depth = int(mode[0])
    levels = grey >> (8 - depth)
    levels[levels == 2] = 3
    levels[hole] = 2
    return packed(levels, depth, 2)


def marked(name: str, source: bytes, is_plain: bool = False) -> MarkedImage:
    secret = secret_of(name, is_plain)
    return mark_image(source, family_for(secret.settings), secret.patterns[0], PLACE)


@pytest.mark.parametrize("is_plain", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "P", *GREY])
@pytest.mark.parametrize("name", NAMES)
def test_the_same_pixels_are_transparent(name, mode, is_plain):
    source = logo(mode)
    before = transparent(source)
    assert 0.03 < before.mean() < 0.1
    if (name, mode) in NO_MARK:
        with pytest.raises(NotMarkableError, match="is grey"):
            marked(name, source, is_plain)
        return
    if mode in FEW_COLOURS and name != "warp":
        with contextlib.suppress(NotMarkableError):  # most colours of a mark are too far from those that there are
            assert np.array_equal(transparent(marked(name, source, is_plain).data), before)
        return
    result = marked(name, source, is_plain)
    assert np.array_equal(transparent(result.data), before)
    assert MIN_SURVIVAL <= result.survival <= 1.3  # faint marks are rounded to the levels that there are
    assert (decode(source).pixels != decode(result.data).pixels).any()


@pytest.mark.parametrize(
    ("name", "mode"), [(name, mode) for name in NAMES for mode in ("RGB", "L", "I;16") if (name, mode) not in NO_MARK]
)
def test_no_pixel_becomes_transparent_by_its_mark(name, mode):
    """The transparent colour is the one that the mark makes most often of others."""
    flat = np.round(picture(3, 120, 90) / 32).astype(np.uint8) * 32 % 250
    if mode == "RGB":
        image = Image.fromarray(flat)
    else:
        image = Image.fromarray(flat[..., 0] if mode == "L" else flat[..., 0].astype(np.uint16) * 257)
    source = as_bytes(image, "PNG")
    before, free = decode(source).pixels, decode(marked(name, source).data).pixels
    made = free[(before != free).any(2)]
    colours, counts = np.unique(made, axis=0, return_counts=True)
    unused = [not (before == colour).all(2).any() for colour in colours]
    key = colours[np.argmax(np.where(unused, counts, 0))]
    held = int((free == key).all(2).sum())
    assert held > 0

    keyed = as_bytes(image, "PNG", transparency=tuple(key.tolist()) if mode == "RGB" else int(key[0]))
    result = marked(name, keyed)
    after = decode(result.data).pixels
    assert not transparent(result.data).any()
    difference = np.abs(after.astype(int) - free).max(2)
    assert difference.max() == (257 if mode == "I;16" else 1)  # 16 bits made of 8 stay so
    assert np.count_nonzero(difference) == held


@pytest.mark.parametrize("name", NAMES)
def test_a_logo_that_is_mostly_transparent_is_passed_over(name):
    """The mark would be in the small part that shows, too little of it to be found."""
    pixels = np.full((90, 120, 3), 255, np.uint8)
    pixels[30:60, 40:80] = np.minimum(picture(4, 40, 30), 254)
    with pytest.raises(NotMarkableError, match="Too little of the mark"):
        marked(name, as_bytes(Image.fromarray(pixels), "PNG", transparency=(255, 255, 255)))


def test_measures_are_of_what_was_written():
    source = logo("RGB")
    result = marked("blend", source)
    before, after = decode(source).pixels, decode(result.data).pixels
    assert result.psnr == pytest.approx(psnr(before, after), abs=1e-3)
    assert MIN_SURVIVAL < result.survival < 0.98  # part of the mark had nowhere to go


def test_a_black_and_white_image_with_a_transparent_level_is_passed_over():
    source = packed((picture(5, 64, 40)[..., 0] > 128).astype(np.uint8), 1, 1)
    with pytest.raises(NotMarkableError, match="transparent"):
        marked("patch", source)


def test_bits_above_the_depth_of_a_transparent_colour_say_nothing():
    pixels = picture(6, 64, 48).copy()
    pixels[10:20, 10:20] = KEY
    source = png(pixels.reshape(48, -1), 8, 2, tuple(level + 256 for level in KEY), 64)
    result = marked("patch", source)
    assert np.array_equal(transparent(result.data), transparent(source))


def test_a_text_of_that_name_is_no_transparent_colour():
    info = PngImagePlugin.PngInfo()
    info.add_text("transparency", "none")
    source = as_bytes(Image.fromarray(picture(7)), "PNG", pnginfo=info)
    assert Image.open(io.BytesIO(marked("patch", source).data)).info["transparency"] == "none"


def test_a_transparent_colour_behind_the_pixels_comes_too_late():
    source = as_bytes(Image.fromarray(picture(8)), "PNG")
    late = chunk(b"tRNS", bytes(6)) + source[-12:]
    result = marked("patch", source[:-12] + late)
    assert result.data.endswith(late)  # it stays where it is and says nothing
    assert np.array_equal(decode(result.data).pixels, decode(marked("patch", source).data).pixels)
