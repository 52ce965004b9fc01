"""Holm's correction: a known answer, its order, and its error rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from audits.statistics.multiplicity import MultiplicityError, holm

p_lists = st.lists(st.floats(1e-9, 1.0), min_size=1, max_size=12)


def test_known_answer():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@given(p_lists)
def test_never_below_the_raw_p_nor_above_bonferroni(p_values):
    for raw, adjusted in zip(p_values, holm(p_values), strict=True):
        assert raw <= adjusted <= min(1.0, len(p_values) * raw)


@given(p_lists, st.randoms())
def test_order_of_releases_does_not_matter(p_values, random):
    order = list(range(len(p_values)))
    random.shuffle(order)
    assert holm([p_values[i] for i in order]) == [holm(p_values)[i] for i in order]


def test_any_false_alarm_among_five_stays_below_alpha():
    uniform = np.random.default_rng(0).uniform(size=(4000, 5))
    alarms = sum(min(holm(list(row))) <= 0.05 for row in uniform)
    assert alarms <= stats.binom.interval(0.99, 4000, 0.05)[1]


@pytest.mark.parametrize("broken", [0.0, -0.1, 1.2, float("nan")])
def test_what_is_no_p_value_is_refused(broken):
    with pytest.raises(MultiplicityError, match="p-value"):
        holm([0.5, broken])
