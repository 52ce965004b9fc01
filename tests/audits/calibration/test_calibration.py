"""Over many pairs of null model and random key the project's tests keep their error rate; the others do not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from audits.calibration import CalibrationSettings, CalibrationTable, RoundResult, calibrate, calibrate_round, tabulate
from audits.calibration.choice_pairs import CHOICE, CHOICE_OMNIBUS
from audits.calibration.null_models import stranger_models
from audits.calibration.pairs import (
    ASSIGNMENT,
    IN_BLOCKS,
    RANK,
    RANK_STOPPED,
    TWO_SECRETS,
    PairRules,
    PairsError,
)
from audits.calibration.rounds import CalibrationError
from tests.audits.calibration.stock import FAST_KINDS, MARKS, TINY, stock

pytestmark = pytest.mark.long

EXACT = {ASSIGNMENT, IN_BLOCKS, TWO_SECRETS, RANK, RANK_STOPPED, CHOICE, CHOICE_OMNIBUS}


@pytest.fixture(scope="module")
def table() -> CalibrationTable:
    settings = CalibrationSettings(rounds=2, models=5, pairs=150, kinds=FAST_KINDS, rules=PairRules(slow_pairs=60))
    return calibrate(settings, MARKS, *stock(), code_version="under test")


def test_every_test_at_every_level_with_and_without_references_keeps_its_error_rate(table):
    exact = [row for row in table.rows if row.exact]
    assert {(row.test, row.level, row.references) for row in exact} == {
        (test, level, references)
        for test in EXACT
        for level in ("features", "soft", "hard")
        for references in (False, True)
    }
    assert all(row.pairs == 300 for row in exact)
    assert table.holds is not False
    for row in exact:
        assert row.excess <= 1.1 * row.critical, row
        for item in row.rejections:
            assert item.low <= item.attainable  # the interval reaches down to the rate that it should have
            assert item.low <= item.rate <= item.high


def test_tests_use_the_level_they_were_given(table):
    """Not merely safe: where nothing ties, p <= 0.05 happens as often as it should, up to the coarseness of p."""
    for test in (ASSIGNMENT, TWO_SECRETS, RANK):
        for references in (False, True):
            row = next(r for r in table.rows if (r.test, r.level, r.references) == (test, "features", references))
            assert row.rejections[0].finding != "more rarely"
            assert row.distance <= 1.5 * row.critical


def test_a_common_other_test_accuses_innocents(table):
    naive = {(row.test, row.level): row for row in table.rows if not row.exact}
    t_test = naive["paired t-test", "features"]
    assert t_test.rejections[0].finding == "too often"
    assert t_test.rejections[0].rate > 0.1
    assert {"GMM log-likelihood", "view consistency", "Wilcoxon signed-rank, scores"} <= {test for test, _ in naive}
    assert {"paired t-test, margin 0.2", "Wilcoxon signed-rank, labels"} <= {test for test, _ in naive}


def test_tests_of_others_on_a_keyed_choice_have_lines_at_every_level(table):
    others = {(row.test, row.level, row.references): row for row in table.rows if not row.exact}
    for level in ("features", "soft", "hard"):
        bound = others["sequential rank test", level, False]
        assert all(item.finding != "too often" for item in bound.rejections)  # a bound, not more
        for test in ("views within blocks, t-test", "views within blocks, Wilcoxon"):
            assert others[test, level, True].pairs == 300  # beside shadows alone


def test_the_table_says_what_it_was_made_with_and_survives_json(table):
    assert table.made_with["code_version"] == "under test"
    assert table.made_with["models"] == {"fresh small_resnet": 6, "trained small_resnet": 4}
    again = CalibrationTable.from_dict(json.loads(json.dumps(table.to_dict())))
    assert again.rows == table.rows
    text = table.to_markdown()
    assert text.index("Tests with an exact error rate") < text.index("Other tests, without one")
    assert "| rank (patch) | hard | with | 300 |" in text


def test_rounds_stored_one_by_one_give_the_same_table():
    settings = replace(TINY, rounds=2)
    whole = calibrate(settings, MARKS, *stock(), code_version="1")
    stored = [json.dumps(calibrate_round(settings, MARKS, *stock(), number).to_dict()) for number in range(2)]
    resumed = tabulate([RoundResult.from_dict(json.loads(text)) for text in stored], settings, [MARKS], "1")
    assert resumed.rows == whole.rows
    assert resumed.made_with == whole.made_with
    other = calibrate(replace(settings, seed=1), MARKS, *stock(), code_version="1")
    assert other.rows != whole.rows


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(CalibrationError, match="more models"):
        CalibrationSettings(models=2)
    with pytest.raises(PairsError, match="pool"):
        calibrate_round(replace(TINY, rules=replace(TINY.rules, decoys=16)), MARKS, *stock(), 0)


@pytest.mark.shared
def test_strangers_networks_are_null_models(shared):
    images, labels = stock()
    larger = np.repeat(np.repeat(images, 2, axis=1), 2, axis=2)[:, 4:36, 4:36]
    strangers = stranger_models(shared / "models")
    settings = replace(TINY, models=2, bench=replace(TINY.bench, probes=6, per_group=2, keys=16))
    found = calibrate_round(settings, MARKS, larger, labels, 0, strangers)
    assert found.models == {"fresh small_resnet": 2, "stranger": len(strangers)}
    assert len(strangers) >= 2
    assert all(0 < drawn.p <= 1 for cell, cells in found.p_values.items() if cell.exact for drawn in cells)
