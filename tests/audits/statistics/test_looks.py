"""Several looks at one test: the p that pays for them is small no more often than it may be, whenever looking ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.statistics.choices import Blocks, choice_test
from audits.statistics.looks import MOST_LOOKS, blocks_at, over_looks, shares
from audits.statistics.power import blocks_needed, power_of_choice


@settings(deadline=None)
@given(st.integers(1, MOST_LOOKS))
def test_shares_are_of_one_alpha(looks):
    assert sum(shares(looks)) == pytest.approx(1)
    assert len(shares(looks)) == looks
    assert shares(looks)[-1] >= 0.9


@settings(deadline=None)
@given(looks=st.integers(1, MOST_LOOKS), blocks=st.integers(1, 500))
def test_looks_grow_to_all_blocks(looks, blocks):
    seen = [blocks_at(look, looks, blocks) for look in range(1, looks + 1)]
    assert seen == sorted(seen)
    assert seen[0] >= 1
    assert seen[-1] == blocks


def test_one_look_costs_nothing():
    assert over_looks([0.003], 1) == 0.003
    assert over_looks([0.9, 0.95], 2) == 1.0
    assert over_looks([0.5, 0.0009], 2) == pytest.approx(0.001)


@pytest.mark.parametrize("looks", [2, 5])
def test_an_innocent_is_accused_no_more_often_even_by_whoever_stops_at_the_best_look(looks):
    """Over 300 keys and one innocent: looking goes on to the end, so every look may accuse."""
    rng = np.random.default_rng(looks)
    block_of, scores = np.repeat(np.arange(40), 4), rng.normal(size=160)
    found = []
    for _ in range(300):
        blocks = Blocks(block_of, np.arange(40) * 4 + rng.integers(0, 4, 40))
        seen = []
        for look in range(1, looks + 1):
            part = blocks.first(blocks_at(look, looks, 40))
            seen.append(choice_test(scores[: len(part.block_of)], part).p)
        found.append(over_looks(seen, looks))
    small = sum(p <= 0.05 for p in found)
    assert 3 <= small <= 27  # at most the 99.7 % point of 300 at 0.05, and no idle bound


def test_power_by_approximation_is_that_of_the_test():
    """320 images against a model that gives an AUC of 0.6."""
    rng, blocks, size, alpha = np.random.default_rng(1), 80, 4, 0.01
    shift = np.sqrt(2) * 0.2533471  # of a normal score with this AUC
    block_of = np.repeat(np.arange(blocks), size)
    found = 0
    for _ in range(150):
        home = np.arange(blocks) * size + rng.integers(0, size, blocks)
        scores = rng.normal(size=blocks * size) + shift
        scores[home] -= shift
        found += choice_test(scores, Blocks(block_of, home)).p <= alpha
    assert found / 150 == pytest.approx(power_of_choice(blocks, size, 0.6, alpha), abs=0.12)


@settings(deadline=None)
@given(
    size=st.integers(2, 16),
    auc=st.floats(0.51, 0.9),
    alpha=st.floats(1e-6, 0.05),
    power=st.floats(0.3, 0.99),
)
def test_as_many_blocks_as_are_needed_give_the_power(size, auc, alpha, power):
    needed = blocks_needed(size, auc, alpha, power)
    assert power_of_choice(needed, size, auc, alpha) >= power - 1e-9
    assert needed == 1 or power_of_choice(needed - 1, size, auc, alpha) < power + 1e-9


def test_the_table_of_the_method_is_met():
    """Withheld images for power 0.8 at alpha 0.001, published ones in plenty (method, section 12)."""
    for auc, least in ((0.52, 3200), (0.55, 515), (0.6, 130), (0.7, 32)):
        assert blocks_needed(16, auc, 0.001, 0.8) == pytest.approx(least * 16 / 15, rel=0.15)
