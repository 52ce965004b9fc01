"""16-bit grey looks in thumbnails, galleries and trainings as it does to a model: scaled to 8 bits, not clipped."""

import io

import numpy as np
import pytest
from PIL import Image

from audits.pilots.training_set import read_image
from provenance.embedding.pictures import Pair, draw
from provenance.intake import thumbnails
from provenance.intake.grey import eight_bits
from tests.provenance.embedding.builders import picture

WIDTH, HEIGHT = 48, 40


@pytest.fixture
def grey() -> np.ndarray:
    return picture(4, WIDTH, HEIGHT)[..., 0]


@pytest.fixture
def file(tmp_path, grey):
    """The picture at 16 bits, standing on its side as EXIF says."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "grey.png"
    Image.fromarray(grey.astype(np.uint16) * 257).save(path, exif=exif)
    return path


def levels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("L")).astype(int)


def upright(grey: np.ndarray) -> np.ndarray:
    return np.rot90(grey, -1).astype(int)


def test_every_level_goes_to_the_nearest():
    all_levels = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    assert np.array_equal(np.asarray(eight_bits(Image.fromarray(all_levels))), np.rint(all_levels / 257))


def test_other_images_stay_as_they_are():
    image = Image.fromarray(picture(1))
    assert eight_bits(image) is image


def test_thumbnails_are_as_dark_as_the_picture_and_upright(file, grey):
    (small,) = thumbnails.draw([file], 100)
    shown = levels(small)
    assert shown.shape == (WIDTH, HEIGHT)
    assert np.abs(shown - upright(grey)).mean() < 6


def test_a_transparent_level_does_not_spoil_the_thumbnail(tmp_path, grey):
    path = tmp_path / "keyed.png"
    Image.fromarray(grey.astype(np.uint16) * 257).save(path, transparency=30_000)
    (small,) = thumbnails.draw([path], 100)
    assert np.abs(levels(small) - grey.astype(int)).mean() < 6


def test_the_gallery_shows_original_marked_and_difference(tmp_path, file, grey):
    marked = tmp_path / "marked.png"
    brighter = np.minimum(grey.astype(np.uint16) * 257 + 16 * 257, 65535)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(brighter).save(marked, exif=exif)
    (shown,) = draw([Pair(file, marked)])
    times = 192 // max(WIDTH, HEIGHT)
    original = levels(shown["original"])[::times, ::times]
    assert np.abs(original - upright(grey)).mean() < 8
    difference = levels(shown["difference"])
    assert np.median(difference) == pytest.approx(128 + 4 * 16, abs=4)


def test_trainings_see_the_same(file, grey):
    side = min(WIDTH, HEIGHT)
    seen = read_image(file, side)[..., 0].astype(int)
    assert np.abs(seen - grey[:, (WIDTH - side) // 2 :][:, :side]).max() <= 1
