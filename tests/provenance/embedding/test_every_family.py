"""Every family on files of every mode and size, for associated and for plain marks: marked as they are, or refused."""

import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from PIL import Image

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.marking import mark_image
from provenance.embedding.sources import decode
from provenance.embedding.survival import MIN_SURVIVAL
from provenance.marks import MarkSecret, MarkSettings, families, family_for
from tests.provenance.embedding.builders import BEACON, GROUPS, as_bytes, picture

pytestmark = pytest.mark.long

STRONG = {
    "patch": {"opacity": 1.0},
    "blend": {"amplitude": 16.0},
    "spectral": {"amplitude": 16.0},
    "warp": {"bend": 0.08},
}
KINDS = {  # mode: formats that hold it
    "L": ("JPEG", "PNG"),
    "RGB": ("JPEG", "PNG", "WEBP"),
    "CMYK": ("JPEG",),
    "RGBA": ("PNG", "WEBP"),
    "LA": ("PNG",),
    "P": ("PNG",),
    "I;16": ("PNG",),
}
GREY = ("L", "LA", "I;16")
FILES = [(mode, kind) for mode, kinds in KINDS.items() for kind in kinds]
PLACE = (0.3, 0.7)
names = st.sampled_from(sorted(families()))
plain = st.booleans()
lengths = st.one_of(st.integers(8, 96), st.integers(8, 400))
shapes = st.one_of(
    st.tuples(lengths, lengths),
    st.tuples(st.integers(8, 12), st.integers(2000, 8000)),
    st.tuples(st.integers(2000, 8000), st.integers(8, 12)),
)


def secret_of(name: str, is_plain: bool) -> MarkSecret:
    kind = {"association": "plain"} if is_plain else {"groups": GROUPS}
    return MarkSecret.derive(b"k" * 32, BEACON, MarkSettings(family=name, **STRONG[name], **kind))


def file_of(mode: str, kind: str, height: int, width: int, seed: int) -> bytes:
    """A textured picture in this mode; alpha that is no constant where there is one."""
    rng = np.random.default_rng(seed)
    pixels = np.clip(picture(seed, width, height) + rng.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)
    if mode == "I;16":
        image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    elif mode == "P":
        image = Image.fromarray(pixels).quantize(64)
    else:
        image = Image.fromarray(pixels).convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(rng.integers(0, 256, (height, width), dtype=np.uint8)))
    options = {"quality": 90} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    return as_bytes(image, kind, **options)


def check(name: str, is_plain: bool, mode: str, kind: str, source: bytes) -> None:
    """What holds of every marked file; raises NotMarkableError where it is none."""
    secret = secret_of(name, is_plain)
    family, pattern = family_for(secret.settings), secret.patterns[0]
    result = mark_image(source, family, pattern, PLACE)
    assert result.data == mark_image(source, family, pattern, PLACE).data
    before, after = (Image.open(io.BytesIO(data)) for data in (source, result.data))
    assert (after.size, after.format) == (before.size, kind)
    assert after.mode == mode
    assert result.survival >= MIN_SURVIVAL
    one, two = decode(source), decode(result.data)
    if kind != "JPEG":
        assert np.array_equal(one.pixels[..., one.colours :], two.pixels[..., two.colours :])
        top, left, height, width = family.region(*one.pixels.shape[:2], PLACE)
        shows = one.pixels[..., -1:] > 0 if one.colours < one.pixels.shape[2] else True
        change = shows * (one.pixels[..., : one.colours].astype(int) - two.pixels[..., : two.colours])
        change[top : top + height, left : left + width] = 0
        assert not change.any()


@pytest.mark.parametrize("name", sorted(families()))
@pytest.mark.parametrize(("mode", "kind"), FILES)
def test_every_mode_is_marked_by_every_family(name, mode, kind):
    source = file_of(mode, kind, 96, 120, 3)
    for is_plain in (False, True):
        if name == "spectral" and mode in GREY:
            with pytest.raises(NotMarkableError, match="is grey"):
                check(name, is_plain, mode, kind, source)
        elif mode == "P" and name in ("blend", "spectral"):
            with pytest.raises(NotMarkableError, match="Too little of the mark"):  # no colour is added to a palette
                check(name, is_plain, mode, kind, source)
        else:
            check(name, is_plain, mode, kind, source)


@given(name=names, is_plain=plain, file=st.sampled_from(FILES), shape=shapes, seed=st.integers(0, 99))
@budget(max_examples=40, deadline=None)
def test_files_of_any_size_and_mode_are_marked_or_refused(name, is_plain, file, shape, seed):
    try:
        check(name, is_plain, *file, file_of(*file, *shape, seed))
    except NotMarkableError:
        # Colour planes are none in grey, palettes get no new colour; a small warp moves less than a pixel, and JPEG has
        # a handful of blocks there.
        assert (name == "spectral" and file[0] in GREY) or file[0] == "P" or min(shape) < 48


@pytest.mark.parametrize("name", sorted(families()))
def test_large_and_tiny_images_are_marked_by_every_family(name):
    family = family_for(secret_of(name, False).settings)
    pattern = secret_of(name, False).patterns[1]
    for height, width in ((8, 8), (8, 8000), (8000, 8), (3000, 2000)):
        top, left, tall, wide = family.region(height, width, PLACE)
        pixels = np.random.default_rng(0).integers(90, 166, (tall, wide, 3)).astype(np.float32)
        mixed = family.mix(pixels, pattern, PLACE)
        assert mixed.shape == pixels.shape
        assert mixed.dtype == np.float32
        assert np.isfinite(mixed).all()
        assert 0 <= top <= height - tall
        assert 0 <= left <= width - wide
        assert np.abs(mixed - pixels).max() > 0.3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", sorted(families()))
def test_a_mark_is_the_same_made_from_bytes_and_from_levels(name, channels):
    secret = secret_of(name, False)
    family, pattern = family_for(secret.settings), secret.patterns[1][..., :channels]
    pattern = secret.patterns[1] if not family.patterns_are_colours else pattern
    _, _, height, width = family.region(700, 900, PLACE)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    whole = family.mix(pixels.astype(np.float32), pattern, PLACE)
    assert family.mix(pixels, pattern, PLACE).tobytes() == whole.tobytes()
    rounded = family.mix(pixels, pattern, PLACE, out=np.empty_like(pixels))
    assert np.array_equal(rounded, np.clip(np.rint(whole), 0, 255))
    assert (whole.dtype, rounded.dtype) == (np.float32, np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("name", sorted(families()))
def test_a_mark_is_the_same_made_in_rows(name, dtype):
    secret = secret_of(name, False)
    family, pattern = family_for(secret.settings), secret.patterns[1]
    _, _, height, width = family.region(300, 200, PLACE)
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (height, width, 3), dtype, endpoint=True)
    whole = family.mix(pixels, pattern, PLACE, out=np.empty_like(pixels))
    rows, made = family.by_rows(height, width, pattern, PLACE), np.empty_like(pixels)
    for top in range(0, height, 7):
        end = min(top + 7, height)
        first, last = max(top - rows.reach, 0), min(end + rows.reach, height)
        rows.mix(pixels[first:last], first, top, made[top:end])
    assert np.array_equal(made, whole)


@pytest.fixture(scope="module")
def large() -> bytes:
    return file_of("RGB", "JPEG", 2500, 3000, 1)


@pytest.mark.parametrize("name", sorted(families()))
def test_memory_stays_near_that_of_the_pixels(name, large):
    secret = secret_of(name, False)
    small = file_of("RGB", "JPEG", 400, 400, 1)
    mark_image(small, family_for(secret.settings), secret.patterns[0], PLACE)  # loads the loops, which is not counted
    tracemalloc.start()
    try:
        mark_image(large, family_for(secret.settings), secret.patterns[0], PLACE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Coefficients take a byte per number, beside the file and the rows worked on at a time, which are a good part of so
    # small a picture.
    assert peak < 4.5 * 2500 * 3000 * 3
