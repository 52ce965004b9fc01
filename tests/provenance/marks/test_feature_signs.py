"""Signs of features: near images share most of them, and what has no features has none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.marks.feature_signs import WORDS, feature_signs


def features(count=400, width=32, seed=3):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((count, width)) * np.geomspace(4, 0.5, width) + 1).astype(np.float32)


def apart(signs, one, other):
    return np.bitwise_count(signs[one] ^ signs[other]).sum(axis=-1)


@pytest.mark.parametrize("width", [8, 200])
def test_more_planes_separate_what_is_at_a_larger_angle(width):
    base = features(width=width)
    near = base + 0.05 * np.random.default_rng(5).standard_normal(base.shape).astype(np.float32)
    signs = feature_signs(np.concatenate([base, near]), 1)
    assert signs.shape == (800, WORDS)
    twins = apart(signs, np.arange(400), np.arange(400, 800))
    others = apart(signs, np.arange(400), np.roll(np.arange(400, 800), 7))
    assert twins.max() < np.median(others)
    assert 200 < np.median(others) < 312


def test_the_first_sign_halves_along_the_widest_axis():
    signs = feature_signs(features(2000), 1)
    first = (signs[:, 0] >> np.uint64(63)).astype(bool)
    widest = features(2000)[:, 0]
    assert 0.4 < first.mean() < 0.6
    assert abs(np.corrcoef(first, widest)[0, 1]) > 0.5


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_what_has_no_features_has_no_signs(kind):
    base = features().astype(kind)
    base[3], base[5, 2], base[7, 1] = 0, np.nan, np.inf
    signs = feature_signs(base, 1)
    none = ~signs.any(axis=1)
    assert np.flatnonzero(none).tolist() == [3, 5, 7]


def test_nothing_readable_gives_no_signs():
    assert not feature_signs(np.zeros((3, 4), np.float32), 1).any()


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 5))
def test_any_table_has_signs_and_they_follow_from_it(count, width, seed):
    base = features(count, width, seed)
    assert np.array_equal(feature_signs(base, seed), feature_signs(base.copy(order="F"), seed))
    assert feature_signs(base, seed).any(axis=1).all()
