"""The area and its interval: right on examples, never empty, and true to its 95 %."""

import numpy as np
import pytest

from provenance.inspection.auc import area


def of(marked: list[float], others: list[float]):
    truth = np.array([True] * len(marked) + [False] * len(others))
    return area(np.array(marked + others, float), truth)


def test_it_counts_pairs_and_ties_by_half():
    assert of([3, 1], [2, 1]).auc == pytest.approx((1 + 1 + 0 + 0.5) / 4)
    assert of([1] * 5, [1] * 9).auc == 0.5


def test_perfect_separation_keeps_a_lower_limit_that_few_files_allow():
    few, many = of([2] * 5, [1] * 5), of([2] * 500, [1] * 500)
    assert few.auc == many.auc == few.high == 1
    assert few.low < 0.75 < 0.97 < many.low < 1
    turned = of([1] * 5, [2] * 5)
    assert (turned.auc, turned.low, turned.high) == (0, 0, pytest.approx(1 - few.low))


def test_at_one_half_it_is_as_wide_as_the_rank_test_says():
    found = of([0, 1] * 200, [0.5] * 400)
    error = np.sqrt(801 / (12 * 400 * 400))
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.02)


@pytest.mark.parametrize(("count", "shift"), [(25, 0.0), (25, 1.5), (150, 0.3)])
def test_it_holds_the_true_area_in_95_of_100_draws(count, shift):
    from scipy.stats import norm

    rng, true = np.random.default_rng(7), norm.cdf(shift / np.sqrt(2))
    draws = 600
    caught = 0
    for _ in range(draws):
        found = of(list(rng.normal(shift, 1, count)), list(rng.normal(0, 1, count)))
        caught += found.low <= true <= found.high
    assert 0.93 <= caught / draws <= 0.985
