"""A small p among controls is read beside how many controls there are and how many small ones chance gives."""

from __future__ import annotations

import numpy as np

from audits.judging.controls import is_small, small_ones


def test_it_says_how_many_are_small_and_how_many_chance_gives():
    said = small_ones([0.004, 0.05, 0.3, 0.9] + [0.5] * 14, 0.01)
    assert "2 of 18 controls have a p of 0.05 or less" in said
    assert "chance alone gives up to 0.9 such on average" in said
    assert "a wrong key counts as found at alpha (0.01) or less" in said
    assert "1 of 1 control has a p" in small_ones([0.01], 0.01)


def test_without_small_ones_nothing_is_excused():
    said = small_ones([0.2, 0.9], 0.01)
    assert "None of 2 controls have a p of 0.05 or less" in said
    assert "no fault" not in said


def test_the_mean_that_it_names_is_what_chance_gives():
    """Exact p-values on a grid are never smaller than uniform ones."""
    drawn = np.random.default_rng(3).integers(1, 721, (4000, 18)) / 720
    found = np.mean([sum(map(is_small, row)) for row in drawn])
    assert 0.8 < found <= 0.9 * 1.05
