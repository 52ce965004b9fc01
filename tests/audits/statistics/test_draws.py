"""Permutations drawn ahead are those drawn when they are needed, and never more than fit."""

from __future__ import annotations

import numpy as np
import pytest

from audits.statistics import draws as drawing
from audits.statistics.draws import Draws
from audits.statistics.permutation import permutation_test, philox_from


def drawn(draws, purpose, groups, permutations):
    return np.concatenate(list(draws.of(purpose, groups, permutations)))


@pytest.mark.parametrize("groups", [10, 40, 127, 128])
def test_what_was_drawn_before_is_what_would_be_drawn_now(groups):
    with Draws("seed") as ahead, Draws("seed") as now:
        ahead.begin("features", groups, 5000)
        found = drawn(ahead, "features", groups, 5000)
        np.testing.assert_array_equal(found, drawn(now, "features", groups, 5000))
        np.testing.assert_array_equal(found, drawn(ahead, "features", groups, 5000))  # given twice, it is drawn anew
        assert not np.array_equal(found, drawn(ahead, "soft", groups, 5000))


def test_a_test_says_the_same_of_permutations_drawn_ahead():
    rng = np.random.default_rng(3)
    pulls, true = rng.normal(size=(12, 12)), rng.permutation(12)
    plain = permutation_test(pulls, true, 30_000, philox_from("seed", "features"))
    with Draws("seed") as ahead:
        ahead.begin("features", 12, 30_000)
        ready = ahead.of("features", 12, 30_000)
        found = permutation_test(pulls, true, 30_000, philox_from("seed", "features"), drawn=ready)
    assert (found.p, found.p_lower, found.exceedances, found.z) == (
        plain.p,
        plain.p_lower,
        plain.exceedances,
        plain.z,
    )
    np.testing.assert_array_equal(found.counts, plain.counts)


def test_no_more_is_drawn_ahead_than_fits(monkeypatch):
    monkeypatch.setattr(drawing, "MOST_AHEAD", 250_000)
    with Draws("seed") as draws:
        for purpose in ("first", "second", "third"):
            draws.begin(purpose, 10, 10_000)
        held = {purpose: isinstance(draws.of(purpose, 10, 10_000), list) for purpose in ("first", "second", "third")}
        assert held == {"first": True, "second": True, "third": False}
        draws.begin("third", 10, 10_000)  # what was given has left its room
        assert isinstance(draws.of("third", 10, 10_000), list)


def test_nothing_is_drawn_ahead_where_all_are_enumerated():
    with Draws("seed") as draws:
        draws.begin("features", 9, 1000)
        assert not isinstance(draws.of("features", 9, 1000), list)
