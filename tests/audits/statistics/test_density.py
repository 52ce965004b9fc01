"""The density formulas: against the naive double loop, against hand-made cases, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from audits.statistics import density
from audits.statistics.density import (
    DegenerateAnswersError,
    DensityError,
    Standardiser,
    as_no_shift,
    density_scores,
    density_within,
    group_means,
    phi_hard,
    phi_soft,
    pulls,
)

finite = st.floats(-10, 10, allow_nan=False, width=32)


def one_hot(*labels: int) -> np.ndarray:
    return phi_hard(np.array(labels, dtype=np.float32)[:, None], 4)


tables = st.tuples(st.integers(2, 9), st.integers(1, 6)).flatmap(
    lambda shape: hnp.arrays(np.float64, shape, elements=finite)
)


@given(tables)
@settings(max_examples=60, deadline=None)
def test_densities_agree_with_the_double_loop(a):
    within = np.mean([a[i] @ a[j] for i in range(len(a)) for j in range(len(a)) if i != j])
    assert density_within(a) == pytest.approx(within, abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_scores_agree_with_the_double_loop(seed, n, d):
    rng = np.random.default_rng(seed)
    clean, marked = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    tt = np.mean([marked[i] @ marked[j] for i, j in pairs])
    cc = np.mean([clean[i] @ clean[j] for i, j in pairs])
    tc = np.mean([marked[i] @ clean[j] for i, j in pairs])
    shift = marked - clean
    cosine = np.mean([shift[i] @ shift[j] / np.linalg.norm(shift[i]) / np.linalg.norm(shift[j]) for i, j in pairs])
    scores = density_scores(marked, clean)
    assert scores.gain == pytest.approx(tt - cc)
    assert scores.divergence == pytest.approx(tt - 2 * tc + cc)
    assert scores.displacement == pytest.approx(np.sqrt(np.mean(np.sum(shift**2, axis=1))))
    assert scores.coherence == pytest.approx(cosine)


def test_divergence_has_no_bias_where_marks_do_nothing_to_the_distribution():
    rng = np.random.default_rng(5)
    values = [density_scores(rng.normal(size=(20, 3)), rng.normal(size=(20, 3))).divergence for _ in range(2000)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))


def test_unmoved_outputs_score_nothing():
    clean = one_hot(0, 1, 2, 3, 0, 1)
    scores = density_scores(clean, clean.copy())
    assert (scores.gain, scores.displacement, scores.coherence) == (0, 0, 0)
    assert scores.divergence == pytest.approx(0)


def test_outputs_that_all_jump_to_one_label():
    clean = one_hot(0, 0, 1, 1)
    marked = one_hot(2, 2, 2, 2)
    scores = density_scores(marked, clean)
    assert density_within(clean) == pytest.approx(4 / 12)  # the collision probability of two labels
    assert scores.gain == pytest.approx(1 - 1 / 3)
    assert scores.divergence == pytest.approx(1 + 1 / 3)
    assert scores.displacement == pytest.approx(np.sqrt(2))
    assert scores.coherence == pytest.approx((4 * 1 + 8 * 0.5) / 12)


def test_pull_is_the_gain_in_density_to_a_group():
    rng = np.random.default_rng(0)
    clean, group_phi = rng.normal(size=(7, 4)), rng.normal(size=(9, 4))
    marked = [rng.normal(size=(7, 4)) for _ in range(3)]
    group_of = np.array([0, 1, 2, 0, 1, 2, 0, 0, 1])
    means = group_means(group_phi, group_of, 3)
    matrix = pulls(np.stack([t.mean(axis=0) for t in marked]), clean.mean(axis=0), means)
    for j in range(3):
        for g in range(3):
            members = group_phi[group_of == g]
            pairs = [[phi @ x for phi in table for x in members] for table in (marked[j], clean)]
            assert matrix[j, g] == pytest.approx(np.mean(pairs[0]) - np.mean(pairs[1]))


def test_features_do_not_depend_on_their_scale_and_offset():
    rng = np.random.default_rng(1)
    clean, marked = rng.normal(size=(30, 5)), rng.normal(size=(30, 5))
    scale, offset = np.array([1e-3, 1.0, 50.0, 1e4, 7.0]), np.array([0.0, 5.0, -1e3, 2.0, 1.0])
    plain = Standardiser.fit(clean).phi(marked)
    stretched = Standardiser.fit(clean * scale + offset).phi(marked * scale + offset)
    np.testing.assert_allclose(plain, stretched, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(plain, axis=1), 1)


def test_constant_dimensions_add_nothing():
    rng = np.random.default_rng(2)
    varying = rng.normal(size=(20, 3)).astype(np.float32)
    padded = np.column_stack([varying, np.full(20, 3.7, np.float32), np.zeros(20, np.float32)])
    phi = Standardiser.fit(padded).phi(padded + np.array([0, 0, 0, 9, 9]))
    np.testing.assert_allclose(phi[:, :3], Standardiser.fit(varying).phi(varying), atol=1e-6)
    assert not phi[:, 3:].any()


def test_a_model_that_always_says_the_same_is_refused():
    with pytest.raises(DegenerateAnswersError, match="same features"):
        Standardiser.fit(np.full((10, 4), 0.3, np.float32))
    with pytest.raises(DegenerateAnswersError, match="fewer than two"):
        Standardiser.fit(np.vstack([np.ones(3), np.full((4, 3), np.nan)]))


def test_soft_labels_have_length_one_and_a_bin_for_the_rest():
    top = np.array([[0.5, 0.25, 0.0], [1.0, 0.0, 0.0], [0.333, 0.333, 0.333]])
    phi = phi_soft(top)
    assert phi.shape == (3, 4)
    np.testing.assert_allclose((phi**2).sum(axis=1), 1)
    assert phi[0, 3] == pytest.approx(0.5)
    assert phi[1, 3] == 0
    assert phi[2, 3] == 0  # a rounded answer is no top-k answer


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[0.5, -0.5]]), "negative"),
        (np.array([[0.9, 0.9]]), "at most one"),
        (np.array([[np.nan, 0.5]]), "no finite numbers"),
        (np.array([[np.inf, 0.5]]), "no finite numbers"),
        (np.zeros((0, 3)), "shape"),
        (np.zeros(3), "shape"),
    ],
)
def test_broken_soft_labels_are_refused(values, message):
    with pytest.raises(DensityError, match=message):
        phi_soft(values)


def test_hard_labels_are_the_likeliest_ones():
    soft = np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2], [np.nan] * 3])
    labels = density.likeliest(soft)
    np.testing.assert_array_equal(labels[:2, 0], [1, 0])
    np.testing.assert_array_equal(phi_hard(labels, 4), [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    with pytest.raises(DensityError, match="Hard labels"):
        phi_hard(np.array([[4.0]]), 4)


def test_missing_answers_count_as_no_shift():
    clean_soft = np.array([[0.7, 0.3], [0.2, 0.8], [np.nan, np.nan], [0.5, 0.5]])
    marked_soft = np.array([[0.1, 0.9], [np.nan, np.nan], [0.4, 0.6], [0.5, 0.5]])
    clean, marked = phi_soft(clean_soft), phi_soft(marked_soft)
    kept = as_no_shift(marked, clean, density.answered_rows(marked_soft), density.answered_rows(clean_soft))
    assert not np.allclose(kept[0], clean[0])
    np.testing.assert_array_equal(kept[1], clean[1])
    np.testing.assert_array_equal(kept[2], np.zeros(3))


def test_mismatched_tables_are_refused():
    with pytest.raises(DensityError, match="one dimension"):
        pulls(np.ones((2, 3)), np.ones(3), np.ones((2, 4)))
    with pytest.raises(DensityError, match="at least 2"):
        density_within(np.ones((1, 3)))
    with pytest.raises(DensityError, match="differ in shape"):
        density_scores(np.ones((2, 3)), np.ones((3, 3)))
    with pytest.raises(DensityError, match="no image"):
        group_means(np.ones((2, 3)), np.array([0, 0]), 2)
    with pytest.raises(DensityError, match="between 0 and 1"):
        group_means(np.ones((2, 3)), np.array([0, 2]), 2)
    with pytest.raises(DensityError, match="features"):
        Standardiser.fit(np.random.default_rng(0).normal(size=(4, 3))).phi(np.ones((2, 5)))
