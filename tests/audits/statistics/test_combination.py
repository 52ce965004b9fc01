"""Combining independent secrets: against chi-squared, against counting, and its error rate on coarse p-values."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from audits.statistics.combination import CombinationError, combine
from audits.statistics.permutation import permutation_test

p_lists = st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=8)


@given(p_lists)
def test_without_grids_it_is_fishers_method(p_values):
    result = combine(p_values)
    assert result.p == pytest.approx(stats.combine_pvalues(p_values, method="fisher").pvalue, rel=1e-6)
    assert result.fisher_p == pytest.approx(result.p, rel=1e-6)
    assert (result.degrees, result.smallest_p) == (2 * len(p_values), None)
    assert result.statistic == pytest.approx(-2 * sum(math.log(p) for p in p_values))


@given(st.lists(st.tuples(st.integers(1, 12), st.floats(0, 1)), min_size=1, max_size=3))
def test_on_grids_it_counts(draws):
    grids = [n for n, _ in draws]
    chosen = [max(1, math.ceil(u * n)) for n, u in draws]
    product = math.prod(chosen)
    every = [math.prod(ranks) <= product for ranks in itertools.product(*(range(1, n + 1) for n in grids))]
    result = combine([k / n for k, n in zip(chosen, grids, strict=True)], grids)
    assert result.p == pytest.approx(np.mean(every))
    assert result.p <= result.fisher_p + 1e-9
    assert result.smallest_p == pytest.approx(1 / math.prod(grids))


def test_two_sets_of_four_groups_are_worth_more_than_fishers_bound():
    result = combine([1 / 24, 1 / 24], [24, 24])
    assert result.p == result.smallest_p == pytest.approx(1 / 576)
    assert result.fisher_p == pytest.approx(0.0128, abs=1e-4)


def test_a_fine_grid_costs_nothing_and_needs_no_memory():
    fine = combine([0.01, 0.02, 0.3], [10_000, 100_000, 1_000_000])
    assert fine.p == pytest.approx(combine([0.01, 0.02, 0.3]).p, rel=2e-2)
    assert fine.p <= fine.fisher_p + 1e-12
    mixed = combine([1 / 24, 1e-6], [24, None])
    assert 1 / 24 * 1e-6 < mixed.p < mixed.fisher_p


@given(p_lists, st.randoms())
def test_order_does_not_matter(p_values, random):
    shuffled = random.sample(p_values, len(p_values))
    assert combine(shuffled).p == pytest.approx(combine(p_values).p)


def test_null_models_with_two_secrets_are_rejected_no_more_often_than_alpha():
    generator, trials = np.random.default_rng(0), 1500
    exact = fisher = 0
    for _ in range(trials):
        results = [
            permutation_test(generator.standard_t(2, size=(4, 4)), generator.permutation(4), 1, generator)
            for _ in range(2)
        ]
        combined = combine([result.p for result in results], [result.permutations for result in results])
        exact += combined.p <= 0.05
        fisher += combined.fisher_p <= 0.05
    low, high = stats.binom.interval(0.99, trials, 0.05)
    assert fisher <= exact <= high
    assert exact > 0.7 * low  # the grid of products is fine enough not to waste the level


@pytest.mark.parametrize(
    ("p_values", "grids", "message"),
    [
        ([], None, "at least one"),
        ([0.5], [2, 3], "at least one"),
        ([0.0], None, "above 0"),
        ([1.5], None, "above 0"),
        ([float("nan")], None, "above 0"),
        ([0.3], [24], "multiple"),
    ],
)
def test_what_cannot_be_combined_is_refused(p_values, grids, message):
    with pytest.raises(CombinationError, match=message):
        combine(p_values, grids)
