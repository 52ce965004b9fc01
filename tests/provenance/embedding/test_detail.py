"""A warped picture differs between neighbours as much as its source; the mark stays where it was."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from provenance.embedding.detail import LEAST_EDGE, with_detail_of
from provenance.embedding.marking import mark_image
from provenance.embedding.sources import decode
from provenance.embedding.survival import survival
from provenance.marks import MarkSecret, MarkSettings, family_for
from tests.provenance.embedding.builders import BEACON, GROUPS, as_bytes, picture

pytestmark = pytest.mark.long

PLACE = (0.3, 0.7)


def textured(height: int = 96, width: int = 120, channels: int = 3) -> np.ndarray:
    """Smooth shapes under noise: (height, width, channels) uint8."""
    noise = np.random.default_rng(1).normal(0, 9, (height, width, channels))
    shapes = picture(7, width, height, channels).reshape(height, width, channels)
    return np.clip(shapes + noise, 0, 255).astype(np.uint8)


def warp(**changes: float) -> tuple:
    secret = MarkSecret.derive(b"k" * 32, BEACON, MarkSettings(groups=GROUPS, family="warp", **changes))
    return family_for(secret.settings), secret.patterns[0]


def warped(source: np.ndarray, **changes: float) -> np.ndarray:
    family, pattern = warp(**changes)
    return family.mix(source, pattern, PLACE, out=np.empty_like(source))


def differences(pixels: np.ndarray) -> np.ndarray:
    """Mean squares of differences down, across, and to the right and to the left below."""
    levels = pixels.astype(float)
    right, left = levels[1:, 1:] - levels[:-1, :-1], levels[1:, :-1] - levels[:-1, 1:]
    return np.array([(one**2).mean() for one in (np.diff(levels, axis=0), np.diff(levels, axis=1), right, left)])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_neighbours_differ_as_much_as_in_the_source(kind, channels):
    source = textured(channels=channels).astype(kind) * (257 if kind == np.uint16 else 1)
    marked = warped(source)
    detailed = with_detail_of(source, marked)
    assert (differences(marked) < 0.8 * differences(source)).all()
    assert differences(detailed) == pytest.approx(differences(source), rel=0.06)
    assert detailed.dtype == kind


def test_nothing_is_given_back_where_nothing_was_lost():
    source = textured()
    assert np.array_equal(with_detail_of(source, source), source)


def test_gains_are_limited_and_levels_cut_off():
    hard = np.random.default_rng(2).choice(np.array([0, 255], np.uint8), (40, 40, 1))
    soft = np.where(hard, 250, 200).astype(np.uint8)
    detailed = with_detail_of(hard, soft)
    assert (differences(soft) < differences(detailed)).all()
    assert (differences(detailed) < 0.5 * differences(hard)).all()
    assert detailed.max() == 255


@pytest.mark.parametrize("bend", [0.03, 0.06, 0.1])
def test_gains_cut_at_their_limits_are_not_added_where_they_make_it_worse(bend):
    """A dark square moved by parts of pixels; cut gains made up to three times its source's differences of it."""
    source = np.full((128, 128, 3), 200, np.uint8)
    source[42:85, 42:85] = 20
    marked = warped(source, bend=bend)
    parts = [differences(one) / differences(source) for one in (marked, with_detail_of(source, marked))]
    assert abs(parts[1] - 1).max() <= abs(parts[0] - 1).max() + 0.01


def test_wide_pictures_are_not_judged_by_their_borders():
    """At 9000 pixels a row, sixteen thousand pixels would be the first row alone."""
    source = textured(400, 9000)
    source[:2], source[-2:] = source[:2] // 4 + 90, source[-2:] // 4 + 90
    detailed = with_detail_of(source, warped(source))
    assert differences(detailed) == pytest.approx(differences(source), rel=0.1)


def test_what_is_the_same_down_and_across_gives_no_gains():
    """Three equations that are one have no solution; the picture stays."""
    board = np.where(np.indices((40, 40)).sum(0) % 2, 255, 0).astype(np.uint8)[..., None]
    assert np.array_equal(with_detail_of(board, np.clip(board, 120, 136)), np.clip(board, 120, 136))


@pytest.mark.parametrize("shape", [(LEAST_EDGE - 1, 40, 3), (40, LEAST_EDGE - 1, 3), (1, 1, 1)])
def test_pictures_of_few_pixels_stay_as_they_are(shape):
    source = textured(*shape)
    assert np.array_equal(with_detail_of(source, 255 - source), 255 - source)


@pytest.mark.parametrize("level", [0, 255])
def test_flat_pictures_stay_as_they_are(level):
    flat, marked = np.full((30, 30, 3), level, np.uint8), textured(30, 30)
    assert np.array_equal(with_detail_of(flat, marked), marked)
    assert np.array_equal(with_detail_of(marked, flat), flat)


def test_the_bits_are_the_same_everywhere():
    """Known from one machine; another one that gives others would make other releases of the same key."""
    detailed = with_detail_of(textured(), warped(textured()))
    assert hashlib.sha256(detailed.tobytes()).hexdigest()[:16] == "9424b42541263019"


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGB"), ("PNG", "RGBA"), ("WEBP", "RGB"), ("PNG", "L")])
def test_a_marked_file_has_its_sources_detail_and_the_mark(kind, mode):
    image = Image.fromarray(textured()).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.fromarray(textured(channels=1)[..., 0]))
    source = as_bytes(image, kind, **({"lossless": True} if kind == "WEBP" else {}))
    family, pattern = warp()
    result = mark_image(source, family, pattern, PLACE)
    before, after = (decode(data) for data in (source, result.data))
    colours = slice(0, before.colours)
    one, two = before.pixels[..., colours], after.pixels[..., colours]
    assert differences(two) == pytest.approx(differences(one), rel=0.06)
    assert np.array_equal(before.pixels[..., before.colours :], after.pixels[..., after.colours :])
    assert survival(one, warped(np.ascontiguousarray(one)), two) == pytest.approx(result.survival, abs=1e-4)
    assert 0.95 < result.survival < 1.2


@pytest.mark.parametrize("name", ["patch", "blend", "spectral"])
def test_marks_that_smooth_nothing_are_written_as_they_are_mixed(name):
    secret = MarkSecret.derive(b"k" * 32, BEACON, MarkSettings(groups=GROUPS, family=name))
    source = as_bytes(Image.fromarray(textured()), "PNG")
    assert mark_image(source, family_for(secret.settings), secret.patterns[0], PLACE).survival == 1.0
