"""One image: its format, mode and metadata stay; the mark is in the pixels that a decoder sees."""

import contextlib
import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from PIL import Image, ImageCms

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.marking import mark_image
from provenance.embedding.sources import decode
from provenance.embedding.survival import MIN_SURVIVAL, psnr, survival
from provenance.marks import family_for
from tests.provenance.embedding.builders import as_bytes, jpeg, picture, secret_of

SECRET = secret_of()
FAMILY = family_for(SECRET.settings)
PLACE = (0.4, 0.6)


def marked(data: bytes, family=FAMILY, pattern: int = 0, place=PLACE):
    return mark_image(data, family, SECRET.patterns[pattern], place)


def opened(data: bytes):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def changed_outside_region(before: np.ndarray, after: np.ndarray) -> int:
    top, left, height, width = FAMILY.region(before.shape[0], before.shape[1], PLACE)
    difference = np.abs(before.astype(int) - after)
    difference[top : top + height, left : left + width] = 0
    return int(difference.max())


class TestJpeg:
    @pytest.mark.parametrize("subsampling", [0, 1, 2])
    @pytest.mark.parametrize("progressive", [False, True])
    def test_tables_subsampling_and_scan_stay(self, subsampling, progressive):
        source = jpeg(1, quality=83, subsampling=subsampling, progressive=progressive)
        result = marked(source)
        before, after = opened(source), opened(result.data)
        assert after.quantization == before.quantization
        assert after.layer == before.layer
        assert bool(after.info.get("progressive")) == progressive
        assert (after.size, after.mode) == (before.size, before.mode)
        assert result.survival >= MIN_SURVIVAL

    def test_metadata_stays_byte_for_byte(self):
        exif = Image.Exif()
        exif[0x0112], exif[0x010E] = 6, "a cow"
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        source = jpeg(2, exif=exif, icc_profile=profile, comment=b"hello", xmp=b"<x/>", dpi=(300, 300))
        before, after = opened(source), opened(marked(source).data)
        for name in ("exif", "icc_profile", "comment", "xmp", "dpi", "jfif_density"):
            assert after.info[name] == before.info[name], name

    def test_a_rotated_photograph_is_marked_as_stored(self):
        exif = Image.Exif()
        exif[0x0112] = 6
        result = marked(jpeg(3, exif=exif))
        after = opened(result.data)
        assert after.size == (48, 40)
        assert after.getexif()[0x0112] == 6
        change = np.abs(np.asarray(after).astype(int) - np.asarray(opened(jpeg(3, exif=exif))))
        top, left, height, width = FAMILY.region(40, 48, PLACE)
        inside = change[top : top + height, left : left + width].mean()
        assert inside > 10 * change.mean()

    def test_grey_and_cmyk_keep_their_mode(self):
        grey = as_bytes(Image.fromarray(picture(4, channels=1)), quality=90)
        assert opened(marked(grey).data).mode == "L"
        cmyk = as_bytes(Image.fromarray(picture(5)).convert("CMYK"), quality=90)
        result = marked(cmyk)
        assert opened(result.data).mode == "CMYK"
        top, left, height, width = FAMILY.region(40, 48, PLACE)
        shown = np.asarray(opened(result.data).convert("RGB"))[top : top + height, left : left + width]
        cell = np.arange(height) * 4 // height
        pattern = SECRET.patterns[0][cell[:, None], cell[None, :]].astype(int)
        assert np.corrcoef(shown.reshape(-1).astype(int), pattern.reshape(-1))[0, 1] > 0.8

    def test_a_mark_that_would_not_survive_is_no_reason_to_write_the_file_otherwise(self):
        faint = family_for(secret_of(opacity=0.3).settings)
        with pytest.raises(NotMarkableError, match="Too little of the mark survives"):
            marked(jpeg(6, quality=1), faint)

    @given(quality=st.integers(70, 95), seed=st.integers(0, 10**6), pattern=st.integers(0, 3))
    @budget(max_examples=25, deadline=None)
    def test_marks_survive_and_the_same_input_gives_the_same_bytes(self, quality, seed, pattern):
        source = jpeg(seed, quality=quality)
        result = marked(source, pattern=pattern)
        assert result.survival >= MIN_SURVIVAL
        assert result.data == marked(source, pattern=pattern).data
        assert result.crc32 == zlib.crc32(result.data)
        assert 8 < result.psnr < 40

    @pytest.mark.parametrize("size", [(40, 40), (24, 900), (3000, 2000)])
    def test_any_size(self, size):
        source = as_bytes(Image.fromarray(picture(7, *size)), quality=90, subsampling=0)
        assert opened(marked(source).data).size == size


class TestPng:
    def lossless(self, source: bytes, mode: str) -> np.ndarray:
        before, after = opened(source), opened(marked(source).data)
        assert after.mode == mode
        one, two = (decode(data).pixels for data in (source, marked(source).data))
        assert changed_outside_region(one, two) == 0
        assert not np.array_equal(one, two)
        assert after.size == before.size
        return two

    @pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA"])
    def test_modes_stay_and_nothing_else_changes(self, mode):
        image = Image.fromarray(picture(8)).convert(mode)
        if mode in ("RGBA", "LA"):
            image.putalpha(Image.fromarray(picture(9, channels=1)))
        source = as_bytes(image, "PNG")
        after = self.lossless(source, mode)
        if mode in ("RGBA", "LA"):
            assert np.array_equal(after[..., -1], decode(source).pixels[..., -1])

    def test_sixteen_bit_grey_stays_sixteen_bit(self):
        levels = picture(10, channels=1).astype(np.uint16) * 257 + 3
        source = as_bytes(Image.fromarray(levels), "PNG")
        after = self.lossless(source, "I;16")
        assert after.dtype == np.uint16
        assert after.max() > 255

    def test_black_and_white(self):
        source = as_bytes(Image.fromarray(picture(11, channels=1)).convert("1"), "PNG")
        checks = np.where(np.indices((4, 4)).sum(0) % 2, 255, 0).astype(np.uint8)[..., None].repeat(3, axis=2)
        assert opened(mark_image(source, FAMILY, checks, PLACE).data).mode == "1"

    def test_animations_are_passed_over(self):
        frames = [Image.fromarray(picture(seed)) for seed in (1, 2)]
        with pytest.raises(NotMarkableError, match="frames"):
            marked(as_bytes(frames[0], "PNG", save_all=True, append_images=frames[1:]))


@pytest.mark.parametrize(("mode", "with_alpha"), [("RGB", "RGBA"), ("L", "LA")])
def test_alpha_that_never_changes_is_no_quality(mode, with_alpha):
    """The same colours have the same PSNR whether alpha is beside them or not."""
    image = Image.fromarray(picture(18)).convert(mode)
    alone = marked(as_bytes(image, "PNG"))
    image.putalpha(Image.fromarray(picture(19, channels=1)))
    assert opened(as_bytes(image, "PNG")).mode == with_alpha
    beside = marked(as_bytes(image, "PNG"))
    assert (beside.psnr, beside.survival) == (alone.psnr, alone.survival)


def test_an_image_that_looks_like_the_mark_is_passed_over():
    cell = np.arange(40) * 4 // 10 % 4
    flat = as_bytes(Image.fromarray(np.ascontiguousarray(SECRET.patterns[0][cell[:, None], cell[None, :]])), "PNG")
    with pytest.raises(NotMarkableError, match="looks like the mark"):
        mark_image(flat, FAMILY, SECRET.patterns[0], (0.0, 0.0))


@pytest.mark.parametrize("data", [b"", b"no image", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n" + bytes(30)])
def test_broken_files_are_passed_over(data):
    with pytest.raises(NotMarkableError):
        marked(data)


@given(st.integers(0, 400), st.sampled_from(["JPEG", "PNG", "WEBP"]), st.integers(0, 255))
@budget(max_examples=60, deadline=None)
def test_damage_never_ends_in_another_error(at, kind, value):
    source = bytearray(as_bytes(Image.fromarray(picture(17)), kind))
    source[at % len(source)] = value
    with contextlib.suppress(NotMarkableError):
        assert marked(bytes(source[: len(source) - at % 7])).data


def test_survival_and_psnr_have_known_values():
    source = np.full((4, 4, 1), 100, np.uint8)
    intended = np.full((4, 4, 1), 120, np.uint8)
    assert survival(source, intended, intended) == 1
    assert survival(source, intended, source) == 0
    assert survival(source, intended, np.full((4, 4, 1), 110, np.uint8)) == 0.5
    assert survival(source, source, intended) == 0
    assert psnr(source, intended) == pytest.approx(20 * np.log10(255 / 20))
    assert psnr(source, source) == np.inf


@pytest.mark.shared
def test_marks_survive_in_real_photographs(shared):
    import zipfile

    with zipfile.ZipFile(shared / "data" / "photos.zip") as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")][::10]
        results = [marked(archive.read(name), pattern=i % 4) for i, name in enumerate(names)]
    assert len(results) == 20
    assert min(result.survival for result in results) >= MIN_SURVIVAL
