"""The calibration table's figures: intervals, distances, findings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from audits.calibration.table import CalibrationTable, Row, TableError, make_row


def row_of(p_values, grid=None) -> Row:
    return make_row("test", "features", "patch", False, True, p_values, [grid] * len(p_values))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=80))
def test_distance_of_p_values_from_uniform(p_values):
    row = row_of(p_values)
    expected = stats.ks_1samp(p_values, stats.uniform.cdf)
    assert row.distance == pytest.approx(expected.statistic, abs=1e-9)
    assert 0 <= row.excess <= row.distance + 1e-12
    observed = [q for _, q in row.quantiles]
    assert observed == sorted(observed)


def test_a_perfect_grid_has_no_distance():
    row = row_of([k / 40 for k in range(1, 41)] * 25, grid=40)
    assert row.distance == pytest.approx(0, abs=1e-12)
    assert row_of([1.0] * 50).distance == 1  # all at one is as far from uniform as can be
    five, one = row.rejections
    assert (five.count, five.finding) == (50, "as often as it should")
    assert five.attainable == pytest.approx(0.05)
    assert (one.count, one.attainable, one.finding) == (0, 0.0, "as often as it should")


def test_findings():
    generator = np.random.default_rng(0)
    uniform = row_of(generator.uniform(size=2000))
    assert [item.finding for item in uniform.rejections] == ["as often as it should"] * 2
    assert uniform.distance < uniform.critical
    anxious = row_of(generator.beta(0.5, 1, size=2000))
    assert [item.finding for item in anxious.rejections] == ["too often"] * 2
    assert anxious.excess > anxious.critical
    timid = row_of(generator.beta(2, 1, size=2000))
    assert timid.rejections[0].finding == "more rarely"
    assert timid.excess < timid.critical < timid.distance


def test_one_failing_row_fails_the_table_and_chance_alone_does_not():
    generator = np.random.default_rng(1)
    good = [row_of(generator.uniform(size=1000)) for _ in range(40)]
    assert CalibrationTable(tuple(good), {}).holds is True
    assert CalibrationTable((*good, row_of(generator.beta(0.6, 1, size=300))), {}).holds is False


@pytest.mark.parametrize(
    ("pairs", "count", "holds"),
    [(8, 0, None), (89, 2, None), (90, 2, True), (300, 17, None), (1000, 60, True), (1000, 110, False)],
)
def test_a_table_holds_only_where_it_would_have_shown_twice_the_rate(pairs, count, holds):
    """The 99 % interval of 2 of 90 ends just below 0.10, that of 2 of 89 above."""
    table = CalibrationTable((row_of([0.04] * count + [0.5] * (pairs - count)),), {})
    assert table.holds is holds
    assert bool(table.too_wide) == (holds is not True)


def test_the_others_need_no_pairs():
    enough, few = row_of([0.5] * 1000), replace(row_of([0.5] * 5), exact=False)
    assert CalibrationTable((enough, few), {}).holds is True


@pytest.mark.parametrize("p_values", [[], [0.5, float("nan")], [-0.1], [1.1]])
def test_what_makes_no_row_is_refused(p_values):
    with pytest.raises(TableError):
        row_of(p_values)


@pytest.mark.parametrize("source", [{}, {"schema": 99, "rows": [], "made_with": {}}, {"schema": 1, "rows": [{}]}])
def test_what_is_no_table_is_refused(source):
    with pytest.raises(TableError):
        CalibrationTable.from_dict(source)
