"""What a mark must keep whoever resizes or recompresses it, and how many secrets there are: associated and plain."""

import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from provenance.embedding.survival import survival
from provenance.keying import philox
from provenance.marks import MarkSettings, families, family_for
from tests.provenance.marks.test_families import BEACON, NAMES, associated, picture, plain

DECOYS = 10_000  # the most that a plan may have; keys must outnumber them a thousandfold (docs/method.md, section 2.4)
STRONG = {"blend": {"amplitude": 16.0}, "spectral": {"amplitude": 16.0}, "warp": {"bend": 0.08}, "patch": {}}
PLACE = (0.25, 0.5)
keys = st.binary(min_size=32, max_size=32)


def one_of(name: str, association: str, key: bytes):
    """A family with one pattern of a key."""
    made: MarkSettings = (associated if association == "associated" else plain)(name, **STRONG[name])
    family, rng = family_for(made), philox(key, BEACON, "p")
    return family, family.balanced_pattern(rng) if made.is_plain else family.patterns(rng, 4)[2]


def mark(family, image: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    marked = image.astype(np.float32)
    top, left, tall, wide = family.region(*image.shape[:2], PLACE)
    window = np.s_[top : top + tall, left : left + wide]
    marked[window] = family.mix(marked[window].copy(), pattern, PLACE)
    return marked


def resized(pixels: np.ndarray, size: int) -> np.ndarray:
    planes = [Image.fromarray(np.ascontiguousarray(plane)) for plane in pixels.astype(np.float32).transpose(2, 0, 1)]
    return np.stack([np.asarray(plane.resize((size, size), Image.Resampling.BICUBIC)) for plane in planes], axis=2)


@pytest.mark.parametrize("association", ["associated", "plain"])
@pytest.mark.parametrize("name", NAMES)
def test_marks_mean_the_same_at_half_to_twice_the_size(name, association):
    """Marked and then resized is close to resized and then marked, at every factor from 0.5 to 2."""
    image = picture(128, 128, 1)
    for factor in (0.5, 0.7, 0.9, 1.3, 2.0):
        agreement = []
        for key in range(4):
            family, pattern = one_of(name, association, bytes([key]) * 32)
            size = round(128 * factor)
            small = resized(image, size)
            first = resized(mark(family, image, pattern), size) - small
            second = mark(family, small, pattern) - small
            agreement.append((first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum()))
        assert np.median(agreement) > 0.7, factor


@pytest.mark.parametrize("association", ["associated", "plain"])
@pytest.mark.parametrize("name", NAMES)
def test_marks_survive_jpeg_at_quality_75(name, association):
    kept = []
    for key in range(6):
        family, pattern = one_of(name, association, bytes([key]) * 32)
        image = picture(160, 200, key)
        intended = np.clip(np.rint(mark(family, image, pattern)), 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(intended).save(buffer, "JPEG", quality=75)
        top, left, tall, wide = family.region(160, 200, PLACE)
        window = np.s_[top : top + tall, left : left + wide]
        kept.append(survival(image[window], intended[window], np.asarray(Image.open(buffer))[window]))
    assert np.median(kept) > 0.5


@given(key=keys, name=st.sampled_from(NAMES))
@settings(max_examples=30, deadline=None)
def test_a_key_gives_one_pattern_and_another_key_another(key, name):
    other = bytes([key[0] ^ 1]) + key[1:]
    for association in ("associated", "plain"):
        family, pattern = one_of(name, association, key)
        assert np.array_equal(pattern, one_of(name, association, key)[1])
        assert pattern.dtype == np.uint8
    assert not np.array_equal(pattern, one_of(name, "plain", other)[1])
    assert family.region(64, 64, (0.0, 0.0))[2] > 0


def test_there_are_a_thousand_times_more_plain_patterns_than_decoys():
    """Counted from below: for the waves, choices and signs alone, not the phases, which are real numbers."""
    patch = family_for(plain("patch"))
    blocks = patch.cells**2
    possible = {"patch": math.factorial(blocks) // math.factorial(blocks // 4) ** 4}
    for name in ("blend", "spectral", "warp"):
        pool = family_for(plain(name))._pool()
        waves = len({(wave.down, wave.across) for wave in pool})
        possible[name] = math.comb(waves, 4) * (len(pool) // waves) ** 4
    assert set(possible) == set(families())
    phases = 2**53
    assert possible["patch"] >= 1000 * DECOYS
    assert possible["spectral"] * 2**6 >= 1000 * DECOYS
    assert min(possible["blend"], possible["warp"]) * phases >= 1000 * DECOYS


@pytest.mark.parametrize("name", NAMES)
def test_no_two_of_a_thousand_keys_share_a_plain_pattern(name):
    family = family_for(plain(name))
    drawn = {family.balanced_pattern(philox(k.to_bytes(32, "big"), BEACON, "p")).tobytes() for k in range(1000)}
    assert len(drawn) == 1000


@pytest.mark.parametrize("name", NAMES)
def test_patterns_of_associated_marks_are_balanced_in_strength(name):
    """No group gets a far fainter mark than another, whatever the key."""
    family = family_for(associated(name))
    for key in range(5):
        drawn = family.patterns(philox(bytes([key]) * 32, BEACON, "p"), 10).astype(float)
        contrast = drawn.std(axis=(1, 2)).max(axis=1)
        assert contrast.min() > 0.45 * contrast.max()
