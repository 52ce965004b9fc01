"""The permutation test: its error rate by simulation, its invariances, and answers known beforehand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from audits.statistics.permutation import (
    PermutationError,
    double_centred,
    orders_of,
    permutation_test,
    philox_from,
    reference_residual,
    smallest_reachable_p,
)

pytestmark = pytest.mark.long


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def inside_binomial(rejections: int, trials: int, size: float) -> bool:
    """Inside the central 99 % interval of Binomial(trials, size)."""
    low, high = stats.binom.interval(0.99, trials, size)
    return low <= rejections <= high


def null_model(generator: np.random.Generator, groups: int) -> np.ndarray:
    """A model with heavy-tailed, dependent pulls and strong patterns and groups, but ignorant of the secret."""
    factors = generator.standard_t(2, size=(groups, 2)) @ generator.normal(size=(2, groups))
    return factors + generator.normal(size=(groups, 1)) * 5 + generator.normal(size=(1, groups)) * 5


@pytest.mark.parametrize("groups", [6, 10])
@pytest.mark.parametrize("references", [0, 3])
def test_null_models_are_rejected_no_more_often_than_alpha(groups, references):
    """p <= 0.05 happens as often as it should: exact enumeration at 6 groups, 999 random permutations at 10."""
    generator, trials, rejections, lower = rng(groups * 10 + references), 1500, 0, 0
    shared = null_model(generator, groups)  # what marks do to any model: public, but not about the secret
    for _ in range(trials):
        others = [shared + null_model(generator, groups) for _ in range(references)]
        result = permutation_test(
            shared + null_model(generator, groups), generator.permutation(groups), 999, generator, others
        )
        rejections += result.p <= 0.05
        lower += result.p_lower <= 0.05
    assert inside_binomial(rejections, trials, 0.05)
    assert inside_binomial(lower, trials, 0.05)


def test_hard_labels_with_many_ties_stay_on_the_safe_side():
    """Coarse pulls tie often; ties count against the claimant, so rejections may be rarer, never more frequent."""
    generator, trials, rejections = rng(3), 1500, 0
    for _ in range(trials):
        coarse = generator.integers(0, 2, size=(5, 5)) / 3
        rejections += permutation_test(coarse, generator.permutation(5), 1, generator).p <= 0.05
    assert rejections <= stats.binom.interval(0.99, trials, 0.05)[1]


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
@settings(max_examples=40, deadline=None)
def test_enumeration_agrees_with_the_definition(seed, groups):
    generator = rng(seed)
    matrix, true = generator.normal(size=(groups, groups)), generator.permutation(groups)
    statistic = sum(matrix[j, g] for j, g in enumerate(true))
    every = [sum(matrix[j, g] for j, g in enumerate(pi)) for pi in itertools.permutations(range(groups))]
    result = permutation_test(matrix, true, 1, generator)
    assert result.exact
    assert result.permutations == math.factorial(groups) == result.counts.sum()
    assert result.p == pytest.approx(np.mean([s >= statistic - 1e-9 for s in every]))
    assert result.p_lower == pytest.approx(np.mean([s <= statistic + 1e-9 for s in every]))


@given(st.integers(0, 2**32 - 1), st.integers(3, 6), st.integers(0, 2))
@settings(max_examples=40, deadline=None)
def test_names_of_patterns_and_groups_do_not_matter(seed, groups, references):
    generator = rng(seed)
    tables = [generator.normal(size=(groups, groups)) for _ in range(references + 1)]
    true = generator.permutation(groups)
    patterns, names = generator.permutation(groups), generator.permutation(groups)
    # New pattern i is old pattern patterns[i]; new group h is old group names[h].
    renamed = [table[patterns][:, names] for table in tables]
    renamed_true = np.argsort(names)[true[patterns]]
    before = permutation_test(tables[0], true, 1, generator, tables[1:])
    after = permutation_test(renamed[0], renamed_true, 1, generator, renamed[1:])
    assert after.statistic == pytest.approx(before.statistic, abs=1e-9)
    assert (after.p, after.p_lower) == (before.p, before.p_lower)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_effects_of_a_pattern_or_a_group_alone_do_not_matter(seed):
    generator = rng(seed)
    matrix, true = generator.normal(size=(5, 5)), generator.permutation(5)
    shifted = matrix + generator.normal(size=(5, 1)) * 3 + generator.normal(size=(1, 5)) * 3
    assert permutation_test(matrix, true, 1, generator).p == permutation_test(shifted, true, 1, generator).p


def test_random_permutations_are_uniform_and_repeatable():
    matrix, true = rng(1).normal(size=(10, 10)), rng(2).permutation(10)
    result = permutation_test(matrix, true, 200_000, philox_from("d1", "features"))
    again = permutation_test(matrix, true, 200_000, philox_from("d1", "features"))
    other = permutation_test(matrix, true, 200_000, philox_from("d1", "soft"))
    assert (result.p, result.exceedances) == (again.p, again.exceedances)
    assert result.exceedances != other.exceedances
    # The share of exceedances agrees with the normal approximation and with the other stream.
    assert abs(result.p - other.p) < 5 * math.sqrt(0.25 / 200_000) * 2
    assert result.p == pytest.approx(stats.norm.sf(result.z), abs=0.03)
    assert result.counts.sum() == 200_000
    assert not result.exact


@given(st.integers(2, 40), st.sampled_from([2, 20, 2**20, 2**64]), st.integers(0, 2**32))
def test_orders_are_those_of_a_stable_sort(groups, below, seed):
    """Below a small number words of a row are often equal, or differ in their lowest bits alone."""
    words = rng(seed).integers(0, below - 1, (50, groups), dtype=np.uint64, endpoint=True)
    before = words.copy()
    np.testing.assert_array_equal(orders_of(words), np.argsort(words, axis=1, kind="stable"))
    np.testing.assert_array_equal(words, before)


def test_a_model_that_learned_every_pair_reaches_the_smallest_p():
    for groups, smallest in ((8, 1 / math.factorial(8)), (10, 1 / 1001)):
        true = rng(groups).permutation(groups)
        matrix = rng(7).normal(size=(groups, groups)) * 0.01
        matrix[np.arange(groups), true] += 1
        result = permutation_test(matrix, true, 1000, rng(9))
        assert result.p == result.smallest_p == pytest.approx(smallest)
        assert result.p_lower == 1
        opposite = permutation_test(-matrix, true, 1000, rng(9))
        assert opposite.p == 1
        assert opposite.p_lower == pytest.approx(smallest)


def test_ties_count_against_the_claimant():
    assert permutation_test(np.zeros((4, 4)), np.arange(4), 1, rng()).p == 1
    assert permutation_test(np.full((4, 4), 0.1), np.arange(4), 1, rng()).p == 1  # centring leaves rounding only
    additive = np.arange(10.0)[:, None] / 7 + np.arange(10.0)[None, :] / 3  # equal sums in another order
    result = permutation_test(additive, rng(1).permutation(10), 5000, rng(2))
    assert (result.p, result.p_lower, result.z) == (1, 1, 0)


def test_a_suspect_that_equals_a_reference_shows_nothing_beyond_it():
    matrix = rng(4).normal(size=(8, 8)) + np.eye(8) * 10
    assert permutation_test(matrix, np.arange(8), 1, rng()).p < 1e-4
    controlled = permutation_test(matrix, np.arange(8), 1, rng(), [matrix * 2 + 3, rng(5).normal(size=(8, 8))])
    assert controlled.p == 1


def test_reference_control_uncovers_a_weak_trace():
    generator = rng(11)
    shared = generator.normal(size=(10, 10))
    true = generator.permutation(10)
    suspect = shared + generator.normal(size=(10, 10)) * 0.1
    suspect[np.arange(10), true] += 0.15
    references = [shared + generator.normal(size=(10, 10)) * 0.1 for _ in range(3)]
    plain = permutation_test(suspect, true, 20_000, philox_from("d", "plain"))
    controlled = permutation_test(suspect, true, 20_000, philox_from("d", "with"), references)
    assert controlled.p < 0.01 < plain.p
    residual = reference_residual(suspect, references)
    for reference in references:
        assert (residual * double_centred(reference)).sum() == pytest.approx(0, abs=1e-9)


def test_smallest_reachable_p():
    assert smallest_reachable_p(8, 10) == pytest.approx(2.48e-5, rel=0.01)
    assert smallest_reachable_p(10, 1_000_000) == pytest.approx(1e-6, rel=1e-3)
    assert smallest_reachable_p(10, 10**8) == pytest.approx(1 / math.factorial(10))
    assert smallest_reachable_p(2, 10**6) == 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: permutation_test(np.zeros((3, 4)), np.arange(3), 1, rng()), "square"),
        (lambda: permutation_test(np.zeros((1, 1)), np.arange(1), 1, rng()), "two groups"),
        (lambda: permutation_test(np.full((3, 3), np.nan), np.arange(3), 1, rng()), "finite"),
        (lambda: permutation_test(np.zeros((3, 3)), np.array([0, 0, 1]), 1, rng()), "exactly once"),
        (lambda: permutation_test(np.zeros((10, 10)), np.arange(10), 0, rng()), "permutations"),
        (lambda: permutation_test(np.zeros((3, 3)), np.arange(3), 1, rng(), [np.zeros((4, 4))]), "another number"),
        (lambda: permutation_test(np.eye(3), np.arange(3), 1, rng(), [np.eye(3)] * 4), "leave nothing"),
    ],
)
def test_what_cannot_be_tested_is_refused(call, message):
    with pytest.raises(PermutationError, match=message):
        call()
