"""Tests of others about images at home: against slow direct computation, under the null, and on planted effects."""

from __future__ import annotations

from math import comb, log

import numpy as np
import pytest
from scipy import stats

from audits.other_tests import DISCLAIMER, OtherTestError, paired_t, paired_wilcoxon, sequential_rank
from audits.other_tests.blocks import WORTH_PAIRS, WORTH_WILCOXON, gaps, views_within_blocks
from audits.other_tests.sequential import log_rates, published_wins


def blocks(count: int, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    block_of = np.repeat(np.arange(count), size)
    return block_of, np.arange(count) * size + rng.integers(0, size, count)


def planted(strength: float, count: int, size: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Scores of skewed pictures, lower by `strength` where one stayed home."""
    block_of, home = blocks(count, size, rng)
    scores = rng.exponential(size=len(block_of))
    scores[home] -= strength
    return scores, block_of, home


def slow_rate(wins: np.ndarray, population: int) -> list[float]:
    """Every step's rate from its definition: the smallest over all thresholds, by sums over all totals."""
    chance = [sum(comb(population, k) for k in range(least, population + 1)) / 2**population for least in range(99)]
    found = []
    for seen in range(1, len(wins) + 1):
        k = int(wins[:seen].sum())
        law = stats.betabinom(population - seen, 1 + k, 1 + seen - k)
        ratio = [law.pmf(total - k) * (population + 1) for total in range(population + 1)]
        rates = [2 * max(chance[t], max(ratio[:t], default=0.0)) for t in range(population + 1)]
        found.append(min(1.0, *rates))
    return found


@pytest.mark.parametrize("chance", [0.1, 0.5, 0.9])
def test_rates_are_those_of_the_definition(chance):
    wins = (np.random.default_rng(3).random(30) < chance).astype(np.int64)
    for looked in (30, 12):
        rates = np.exp(log_rates(np.cumsum(wins[:looked]), 30))
        assert rates == pytest.approx(slow_rate(wins[:looked], 30), rel=1e-9)


def test_once_all_blocks_were_seen_the_rate_is_twice_that_of_coins():
    wins = np.array([1] * 14 + [0] * 6)
    last = log_rates(np.cumsum(wins), 20)[-1]
    assert last == pytest.approx(log(2 * stats.binom.sf(13, 20, 0.5)))


def test_ranks_are_counted_by_hand():
    scores, home = np.array([3.0, 1, 2, 5, 4, 6, 0, 0, 0]), np.array([1, 5, 7])
    block_of = np.repeat([0, 1, 2], 3)
    first, second = (published_wins(scores, block_of, home, np.random.default_rng(n)) for n in (1, 2))
    assert (first[:2].tolist(), second[:2].tolist()) == ([1, 0], [1, 0])
    tied = [published_wins(scores, block_of, home, np.random.default_rng(n))[2] for n in range(400)]
    assert 0.4 < np.mean(tied) < 0.6


@pytest.mark.parametrize("size", [2, 3, 4])
def test_the_sequential_test_accuses_innocents_at_most_as_often_as_it_says(size):
    rng = np.random.default_rng(size)
    found = []
    for _ in range(150):
        scores, block_of, home = planted(0.0, 40, size, rng)
        scores = np.round(scores, 1)  # ties
        found.append(sequential_rank(scores, block_of, home, 40, rng).nominal_p)
    for alpha in (0.05, 0.2):
        # The 99.9 % point of a count of innocents that the bound would allow.
        assert np.sum(np.array(found) <= alpha) <= stats.binom.ppf(0.999, len(found), alpha)
    assert min(found) < 0.5


def test_a_planted_effect_is_found_early_and_from_some_of_the_blocks():
    rng = np.random.default_rng(4)
    scores, block_of, home = planted(1.0, 400, 4, rng)
    whole = sequential_rank(scores, block_of, home, 400, rng)
    assert whole.nominal_p < 1e-4
    assert whole.details["blocks until then"] <= 400
    part = sequential_rank(scores[:800], block_of[:800], home[:200], 400, rng)
    assert whole.nominal_p <= part.nominal_p < 0.05
    assert whole.samples == 1600
    assert "bound" in whole.disclaimer
    assert whole.disclaimer != DISCLAIMER


def test_two_hundred_thousand_blocks_are_no_matter():
    """The law of a large population in logarithms, without tables of all totals."""
    wins = np.cumsum(np.ones(2_000, dtype=np.int64))
    rates = log_rates(wins, 200_000)
    assert np.isfinite(rates).all()
    assert (np.diff(rates) <= 1e-9).all()


def test_gaps_are_counted_by_hand():
    assert gaps(np.array([3.0, 1, 2, 5, 4, 6]), np.repeat([0, 1], 3), np.array([1, 5])).tolist() == [1.5, -1.5]


def test_views_within_blocks_are_the_paired_tests_of_gaps():
    rng = np.random.default_rng(5)
    suspect, block_of, home = planted(0.4, 200, 4, rng)
    shadows = rng.exponential(size=(2, len(suspect)))
    by_t, by_ranks = views_within_blocks(suspect, shadows, block_of, home)
    own = gaps(suspect, block_of, home)
    others = (gaps(shadows[0], block_of, home) + gaps(shadows[1], block_of, home)) / 2
    assert by_t.nominal_p == pytest.approx(stats.ttest_rel(own, others, alternative="greater").pvalue)
    assert by_t.nominal_p == paired_t(others, own).nominal_p < 1e-4
    assert by_ranks.nominal_p == paired_wilcoxon(others, own).nominal_p < 1e-4
    assert (by_t.samples, by_t.source == by_ranks.source, by_t.test != by_ranks.test) == (800, True, True)


def test_of_views_the_t_test_is_about_right_and_ranks_of_larger_blocks_are_not():
    """As their words say: skewed pictures make the gaps of an innocent model lean to one side."""
    rng = np.random.default_rng(6)

    def accused(size: int) -> np.ndarray:
        found = []
        for _ in range(150):
            scores, block_of, home = planted(0.0, 200, size, rng)
            verdicts = views_within_blocks(scores, np.zeros((1, len(scores))), block_of, home)
            found.append([verdict.nominal_p <= 0.05 for verdict in verdicts])
        return np.mean(found, axis=0)

    by_t, by_ranks = accused(4)
    assert 0.01 < by_t < 0.1
    assert by_ranks > 0.15
    by_t, by_ranks = accused(2)
    assert max(by_t, by_ranks) < 0.1
    suspect, block_of, home = planted(0.0, 20, 2, rng)
    assert views_within_blocks(suspect, suspect[None] * 0, block_of, home)[1].disclaimer == WORTH_PAIRS
    suspect, block_of, home = planted(0.0, 20, 3, rng)
    assert views_within_blocks(suspect, suspect[None] * 0, block_of, home)[1].disclaimer == WORTH_WILCOXON


def test_what_cannot_be_compared_is_refused():
    scores, block_of, home = planted(0.0, 5, 2, np.random.default_rng(7))
    rng = np.random.default_rng(8)
    with pytest.raises(OtherTestError, match="fewer blocks"):
        sequential_rank(scores, block_of, home, 4, rng)
    with pytest.raises(OtherTestError, match="one of them at home"):
        sequential_rank(scores, block_of, home[:-1], 5, rng)
    with pytest.raises(OtherTestError, match="never saw"):
        views_within_blocks(scores, np.zeros((0, 10)), block_of, home)
