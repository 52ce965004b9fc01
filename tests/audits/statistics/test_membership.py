"""Membership scores against their definitions; they cannot see the choice, and gaps speak neither for nor against."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.statistics.choices import Blocks, choice_test
from audits.statistics.density import DegenerateAnswersError, DensityError
from audits.statistics.membership import (
    Moments,
    area_under_curve,
    caption_density,
    log_ratios,
    reference_residual,
    view_agreement,
    view_confidence,
    view_density,
    without_gaps,
)

RNG = np.random.default_rng(7)


def features(n: int = 12, views: int = 5, width: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3, 2, (n, views, width)).astype(np.float32)


def labels_to_soft(n: int = 12, views: int = 5, k: int = 4, seed: int = 0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(n, views, k)) * 3
    soft = np.exp(logits)
    return (soft / soft.sum(axis=2, keepdims=True)).astype(np.float32)


def moments_of(values: np.ndarray) -> Moments:
    return Moments.of(values.reshape(-1, values.shape[2]))


def by_definition(values: np.ndarray) -> np.ndarray:
    """Standardised over everything, of length one, mean over pairs of different views."""
    flat = values.reshape(-1, values.shape[2]).astype(np.float64)
    unit = (values - flat.mean(axis=0)) / flat.std(axis=0)
    unit /= np.linalg.norm(unit, axis=2, keepdims=True)
    pairs = list(itertools.permutations(range(values.shape[1]), 2))
    return np.array([np.mean([image[i] @ image[j] for i, j in pairs]) for image in unit])


def test_view_density_is_the_mean_over_pairs_of_views():
    values = features()
    np.testing.assert_allclose(view_density(values, moments_of(values)), by_definition(values), atol=1e-10)


@settings(max_examples=50, deadline=None)
@given(cut=st.lists(st.integers(0, 60), max_size=5), seed=st.integers(0, 1000))
def test_moments_of_blocks_are_those_of_all(cut, seed):
    rows = np.random.default_rng(seed).normal(1000, 0.5, (60, 3)).astype(np.float32)
    parts = np.split(rows, sorted(cut))
    found = sum((Moments.of(part) for part in parts[1:]), Moments.of(parts[0]))
    assert found.count == 60
    np.testing.assert_allclose(found.mean, rows.astype(float).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(1 / found.scale(), rows.astype(float).std(axis=0), rtol=1e-9)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_permuting_images_permutes_scores(seed):
    """No score looks at an image's place; so none can see which one stayed home."""
    order = np.random.default_rng(seed).permutation(12)
    values, soft = features(seed=seed), labels_to_soft(seed=seed)
    labels = soft.argmax(axis=2).astype(np.float32)
    cosines = np.random.default_rng(seed).uniform(-1, 1, size=(12, 4))
    pairs = [
        (view_density(values, moments_of(values)), view_density(values[order], moments_of(values[order]))),
        (view_agreement(labels), view_agreement(labels[order])),
        (view_confidence(soft), view_confidence(soft[order])),
        (caption_density(cosines), caption_density(cosines[order])),
    ]
    for plain, shuffled in pairs:
        np.testing.assert_allclose(plain[order], shuffled, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_permuting_alternatives_of_blocks_permutes_residuals(seed):
    rng = np.random.default_rng(seed)
    block_of = np.repeat(np.arange(5), 4)
    scores, others = rng.normal(size=20), rng.normal(size=(3, 20))
    order = np.concatenate([4 * block + rng.permutation(4) for block in range(5)])
    plain = reference_residual(scores, others, block_of)
    np.testing.assert_allclose(plain[order], reference_residual(scores[order], others[:, order], block_of), atol=1e-9)


def test_agreement_is_the_chance_that_two_views_get_one_label():
    labels = np.array([[0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 2, 3], [5, np.nan, 5, 4], [1, np.nan, np.nan, np.nan]])
    np.testing.assert_allclose(view_agreement(labels), [1, 1 / 3, 0, 1 / 3, np.nan])


def test_log_ratios_do_not_saturate_where_square_roots_do():
    near, nearer = np.array([[0.98, 0.01, 0.01]]), np.array([[0.9998, 0.0001, 0.0001]])
    gap = (log_ratios(nearer) - log_ratios(near))[0, 0]
    assert gap == pytest.approx(2 / 3 * np.log(100 * 0.9998 / 0.98), rel=1e-9)
    assert np.sqrt(nearer)[0, 0] - np.sqrt(near)[0, 0] < 0.011
    np.testing.assert_allclose(log_ratios(nearer).sum(axis=1), 0, atol=1e-12)
    assert np.array_equal(log_ratios(np.array([[1.0, 0.0]])), log_ratios(np.array([[1.0, 1e-4]])))


def test_log_ratios_refuse_what_are_no_probabilities():
    for wrong in ([[-0.5, 1.5]], [[2.0, 3.0]]):
        with pytest.raises(DensityError):
            log_ratios(np.array(wrong))


def test_confidence_is_the_mean_log_odds_of_the_likeliest():
    soft = np.array([[[0.8, 0.2], [0.5, 0.5]], [[np.nan, np.nan], [0.1, 0.9]]])
    np.testing.assert_allclose(view_confidence(soft), [np.log(4) / 2, np.log(9)])


def test_caption_density_is_the_mean_cosine_to_the_own_caption():
    cosines = np.array([[0.5, 0.25, 0.0], [0.3, np.nan, 0.1], [np.nan, np.nan, np.nan]])
    np.testing.assert_allclose(caption_density(cosines), [0.25, 0.2, np.nan])


def test_missing_answers_add_nothing_to_the_statistic_whoever_stayed_home():
    block_of = np.repeat(np.arange(3), 4)
    scores = RNG.normal(size=12)
    scores[[1, 6]] = np.nan
    scores[8:] = np.nan
    filled = without_gaps(scores, block_of)
    assert np.isfinite(filled).all()
    for home in itertools.product(range(4), range(4, 8), range(8, 12)):
        found = choice_test(filled, Blocks(block_of, np.array(home)))
        if {1, 6} <= set(home):
            assert found.statistic == pytest.approx(0, abs=1e-12)


def test_views_without_an_answer_are_left_out_of_their_image_alone():
    values = features()
    moments = moments_of(values)
    gaps = values.copy()
    gaps[3, 2] = np.nan
    gaps[4, 1:] = np.nan
    found = view_density(gaps, moments)
    kept = view_density(values[:, [0, 1, 3, 4]], moments)
    assert found[3] == pytest.approx(kept[3], abs=1e-12)
    assert np.isnan(found[4])
    assert np.array_equal(np.delete(found, [3, 4]), np.delete(view_density(values, moments), [3, 4]))


def test_a_reference_takes_out_how_hard_a_picture_is():
    """The same difficulty in suspect and reference; knowing the published ones is what is left."""
    rng = np.random.default_rng(3)
    block_of = np.repeat(np.arange(300), 4)
    home = np.arange(300) * 4 + rng.integers(0, 4, 300)
    hard = rng.normal(size=1200) * 5
    known = np.ones(1200)
    known[home] = 0
    suspect, reference = hard + known + rng.normal(size=1200), 2 * hard + rng.normal(size=1200)
    blocks = Blocks(block_of, home)
    plain = choice_test(suspect, blocks).z
    beside = choice_test(reference_residual(suspect, reference[None], block_of), blocks).z
    assert beside > plain + 3
    assert beside > 6


def test_a_suspect_that_is_its_own_reference_leaves_nothing():
    block_of, scores = np.repeat(np.arange(10), 4), RNG.normal(size=40)
    assert not reference_residual(scores, np.stack([3 * scores + 1, RNG.normal(size=40)]), block_of).any()


def test_references_that_are_equal_or_constant_do_no_harm():
    block_of, scores, other = np.repeat(np.arange(10), 4), RNG.normal(size=40), RNG.normal(size=40)
    once = reference_residual(scores, other[None], block_of)
    twice = reference_residual(scores, np.stack([other, other, np.ones(40)]), block_of)
    np.testing.assert_allclose(once, twice, atol=1e-12)


def test_the_area_under_the_curve_counts_pairs():
    rng = np.random.default_rng(11)
    scores = rng.integers(0, 6, 40).astype(float)
    home = rng.random(40) < 0.3
    pairs = [(p, h) for p in scores[~home] for h in scores[home]]
    wanted = np.mean([(p > h) + (p == h) / 2 for p, h in pairs])
    assert area_under_curve(scores, home) == pytest.approx(wanted, abs=1e-12)


def test_a_model_that_says_the_same_to_everything_is_not_scored():
    same = np.ones((4, 3, 2))
    with pytest.raises(DegenerateAnswersError):
        view_density(same, moments_of(same))
