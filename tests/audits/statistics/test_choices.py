"""Keyed choices: the exact law against counting and against random choices, its error rate, and what it refuses."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.statistics.choices import (
    Blocks,
    ChoiceError,
    KeptLaws,
    choice_test,
    contributions,
    law_of_sum,
    omnibus_test,
)
from audits.statistics.permutation import philox_from

pytestmark = pytest.mark.long


def blocks_of(sizes, rng) -> Blocks:
    sizes = np.asarray(sizes)
    starts = np.cumsum(sizes) - sizes
    return Blocks(np.repeat(np.arange(len(sizes)), sizes), starts + rng.integers(0, sizes))


def every_choice(blocks: Blocks) -> np.ndarray:
    """(choices, B) positions."""
    return np.array(
        list(itertools.product(*(range(s, s + n) for s, n in zip(blocks.starts, blocks.sizes, strict=True))))
    )


@given(st.lists(st.integers(2, 4), min_size=1, max_size=7), st.integers(0, 2**32))
def test_it_counts_all_choices_of_few_blocks(sizes, seed):
    rng = np.random.default_rng(seed)
    blocks, weights = blocks_of(sizes, rng), rng.integers(0, 3, len(sizes))
    scores = rng.integers(-3, 4, sum(sizes)) / 4.0  # with many ties
    own = contributions(scores, blocks, weights)
    sums = own[every_choice(blocks)].sum(axis=1)
    true = own[blocks.home].sum()
    result = choice_test(scores, blocks, weights)
    assert result.statistic == pytest.approx(true, abs=1e-12)
    # Sums that are equal but for their rounding to the grid may fall on either side of it.
    assert np.mean(sums > true + 0.01) - 1e-12 <= result.p <= np.mean(sums >= true - 0.01) + 1e-12
    assert np.mean(sums < true - 0.01) - 1e-12 <= result.p_lower <= np.mean(sums <= true + 0.01) + 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_twelve_blocks_of_two_agree_with_all_4096_choices(seed):
    rng = np.random.default_rng(seed)
    blocks, scores = blocks_of([2] * 12, rng), rng.normal(size=24)
    sums = contributions(scores, blocks)[every_choice(blocks)].sum(axis=1)
    result = choice_test(scores, blocks)
    assert result.p == pytest.approx(np.mean(sums >= result.statistic - 1e-9), abs=2 / 4096)
    assert result.smallest_p == pytest.approx(2.0**-12)


def test_a_law_that_was_kept_gives_the_same_bits_for_every_choice_and_is_of_these_scores_alone():
    rng = np.random.default_rng(11)
    sizes, kept = rng.integers(2, 5, 30), KeptLaws()
    for scores in rng.normal(size=(2, sizes.sum())):
        for _ in range(3):
            blocks = blocks_of(sizes, rng)
            assert choice_test(scores, blocks, law_of=kept) == choice_test(scores, blocks)
    other = blocks_of(sizes[::-1], rng)  # the same steps in other blocks
    assert choice_test(scores, other, law_of=kept) == choice_test(scores, other)


def test_it_agrees_with_a_million_random_choices():
    rng = np.random.default_rng(7)
    blocks = blocks_of(rng.integers(2, 6, 60), rng)
    scores = rng.gamma(2.0, size=len(blocks.block_of))
    scores[blocks.home] -= 0.7
    result = choice_test(scores, blocks)
    drawn = omnibus_test(scores[None], blocks, 1_000_000, philox_from("a", "choices"))
    assert drawn.p == pytest.approx(result.p, abs=4 * math.sqrt(result.p / 1e6))
    assert drawn.z[0] == pytest.approx(result.z)
    assert 0.0001 < result.p < 0.2


@given(st.lists(st.integers(2, 5), min_size=1, max_size=40), st.integers(0, 2**32))
def test_the_law_is_one(sizes, seed):
    rng = np.random.default_rng(seed)
    blocks, steps = blocks_of(sizes, rng), rng.integers(-50, 50, sum(sizes))
    law, lowest = law_of_sum(steps, blocks)
    assert law.sum() == pytest.approx(1)
    assert (law >= 0).all()
    mean = (law * (lowest + np.arange(len(law)))).sum()
    assert mean == pytest.approx((np.add.reduceat(steps, blocks.starts) / blocks.sizes).sum(), abs=1e-6)


def test_the_smallest_chances_are_as_precise_as_the_largest():
    blocks = Blocks(np.repeat(np.arange(300), 2), np.arange(300) * 2)
    scores = np.tile([0.0, 1.0], 300)  # the model knows every published one, and none that stayed home
    result = choice_test(scores, blocks)
    assert result.p == pytest.approx(2.0**-300, rel=1e-9)
    assert result.smallest_p == pytest.approx(2.0**-300, rel=1e-9)
    assert (result.z, result.p_lower) == (pytest.approx(math.sqrt(300)), pytest.approx(1))
    assert (result.at_home, result.published) == (0, 1)


def test_what_lies_beyond_the_law_counts_against_the_claimant():
    blocks = Blocks(np.repeat(np.arange(900), 2), np.arange(900) * 2)
    result = choice_test(np.tile([0.0, 1.0], 900), blocks)  # thirty deviations
    assert 2.0**-900 < result.p < 1e-80


def test_the_level_holds_exactly():
    rng = np.random.default_rng(11)
    scores = np.concatenate([rng.normal(size=60), rng.exponential(4, size=60)])  # a model like any other
    p_values = np.array([choice_test(scores, blocks_of([3] * 40, rng)).p for _ in range(1000)])
    for alpha in (0.5, 0.05, 0.01):
        assert np.mean(p_values <= alpha) <= alpha + 2.6 * math.sqrt(alpha * (1 - alpha) / 1000)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.03)


def test_a_model_that_says_the_same_to_all_shows_nothing():
    blocks = blocks_of([4] * 10, np.random.default_rng(1))
    result = choice_test(np.full(40, 0.3), blocks)
    assert (result.statistic, result.z, result.p, result.p_lower) == (0, 0, 1, 1)
    assert omnibus_test(np.full((2, 40), 0.3), blocks, 100, philox_from("a", "choices")).p == 1


def test_weights_of_nothing_leave_blocks_out():
    rng = np.random.default_rng(5)
    blocks, scores = blocks_of([4] * 30, rng), rng.normal(size=120)
    some = choice_test(scores[:80], blocks.first(20))
    assert choice_test(scores, blocks, np.repeat([1.0, 0.0], [20, 10])).p == pytest.approx(some.p, rel=0.05)


def test_an_omnibus_finds_what_one_of_its_scores_shows():
    rng = np.random.default_rng(3)
    blocks, scores = blocks_of([4] * 100, rng), rng.normal(size=(3, 400))
    scores[2, blocks.home] -= 0.8
    alone = choice_test(scores[2], blocks)
    together = omnibus_test(scores, blocks, 20_000, philox_from("a", "choices"))
    assert together.z[2] == pytest.approx(alone.z)
    assert together.p == together.smallest_p == 1 / 20_001
    assert together.p_lower > 0.05


def test_the_omnibus_holds_its_level():
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(3, 90))
    found = [
        omnibus_test(scores, blocks_of([3] * 30, rng), 199, philox_from(str(number), "choices")).p
        for number in range(600)
    ]
    assert np.mean(np.array(found) <= 0.05) <= 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / 600)


@pytest.mark.parametrize(
    ("block_of", "home", "said"),
    [
        ([], [], "numbered from 0"),
        ([1, 1], [0], "numbered from 0"),
        ([0, 0, 2, 2], [0, 2], "numbered from 0"),
        ([0, 1, 0, 1], [0, 1], "numbered from 0"),
        ([0, 0, 1], [0, 2], "Block 1 has one alternative"),
        ([0, 0, 1, 1], [0], "One alternative of each"),
        ([0, 0, 1, 1], [2, 0], "One alternative of each"),
        ([0, 0, 1, 1], [0, 4], "One alternative of each"),
        ([0, 0, 1, 1], [0, -1], "One alternative of each"),
    ],
)
def test_blocks_that_are_none_are_refused(block_of, home, said):
    with pytest.raises(ChoiceError, match=said):
        Blocks(np.array(block_of, dtype=np.int64), np.array(home, dtype=np.int64))


def test_scores_that_are_none_are_refused():
    blocks = blocks_of([2, 2], np.random.default_rng(0))
    for scores in (np.zeros(3), np.array([0, 1, np.nan, 0]), np.zeros((4, 1))):
        with pytest.raises(ChoiceError, match="4 alternatives need a finite score"):
            choice_test(scores, blocks)
    for weights in (np.ones(3), np.array([1, -1]), np.array([1, np.inf])):
        with pytest.raises(ChoiceError, match="2 blocks need a weight"):
            choice_test(np.zeros(4), blocks, weights)
    with pytest.raises(ChoiceError, match="1 to 2 blocks"):
        blocks.first(3)
    with pytest.raises(ChoiceError, match="An omnibus takes"):
        omnibus_test(np.zeros((0, 4)), blocks, 10, philox_from("a", "choices"))
