"""Numbers by what was tried, and words that say no more than they carry."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from audits.pilots.pilot.advice import cost_sentence, interval_words, needed_sentence, recommendation
from audits.pilots.pilot.found import LevelFound, LineFound, Looks, PilotFound
from audits.pilots.pilot.settings import Line
from audits.pilots.pilot.summary import Interval, difference, summaries
from audits.statistics.power import blocks_needed
from tests.audits.pilots.pilot.builders import AT_HOME, STRUCK, TINY

SETTINGS = replace(TINY, proposals=(STRUCK, AT_HOME), runs=5, references=2, alpha=0.001)
LOOKS = Looks(marked=12, passed_over=0, psnr=20.0, lowest_psnr=15.0, ssim=0.9)

accuracies = st.lists(st.floats(0, 1), min_size=2, max_size=9)


def line(proposal, number, p=None, linear=None):
    levels = {} if p is None else {"features": LevelFound(p=p, p_without=p, z=1.0, smallest_p=1e-9)}
    looks = LOOKS if proposal == 0 else None
    of = Line("simclr", proposal, number)
    return LineFound(of, 1.0, 50, (), linear=linear, nearest=linear, levels=levels, marked=12, wanted=12, looks=looks)


def pilot(struck, at_home, cost=0.0, missing=(), images=52):
    twins = [line(None, number, linear=0.8 + 0.01 * number) for number in range(2)]
    suspects = [
        line(proposal, number, p, 0.8 - cost + 0.01 * (number % 2))
        for proposal, values in enumerate((struck, at_home))
        for number, p in enumerate(values)
    ]
    return PilotFound((*twins, *suspects), tuple(missing), images, 64, 12, "CPU")


def advice(found, settings=SETTINGS):
    return " ".join(recommendation(settings, found, summaries(settings, found)))


def test_power_is_a_count_with_its_exact_interval():
    struck, at_home = summaries(SETTINGS, pilot([1e-5, 0.001, 0.2], [0.5]))
    power = struck.power["features"]
    assert (power.found, power.audits, power.median_p) == (2, 3, 0.001)
    expected = stats.binomtest(2, 3).proportion_ci(0.95, method="exact")
    assert (power.low, power.high) == pytest.approx((expected.low, expected.high))
    assert at_home.power["features"].found == 0
    assert (struck.psnr, struck.ssim) == (20.0, 0.9)
    assert at_home.psnr is None


@given(accuracies, accuracies)
def test_what_is_lost_has_the_interval_of_welch(first, second):
    if min(np.std(first), np.std(second)) < 1e-6:
        return
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    found = difference(first, second)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-9)


def test_one_training_gives_no_interval_and_none_gives_nothing():
    assert difference([0.8], [0.7]) == Interval(pytest.approx(0.1), None, None)
    assert difference([], [0.7]) is None
    assert interval_words(None) == "not measured"
    assert interval_words(Interval(-0.012, -0.02, 0.001)) == "−1.2 (−2.0 to 0.1)"


def test_what_was_found_in_all_audits_is_named_with_its_interval_and_its_cost():
    told = advice(pilot([0.5] * 5, [1e-7] * 5))
    assert "“20 % at home” was found most often: in 5 of 5 audits at alpha 0.001 (47.8 % to 100 %" in told
    assert "No loss of accuracy can be told from chance" in told
    assert "No image is changed" in told


def test_a_loss_that_can_be_told_from_chance_is_told():
    assert "Accuracy fell by 20.1 points" in advice(pilot([1e-7] * 5, [0.5] * 5, cost=0.2))


def test_nothing_found_promises_nothing():
    assert advice(pilot([0.5] * 5, [0.02] * 5)).startswith("Nothing that was tried was found at alpha 0.001")


def test_a_find_that_chance_gives_too_is_not_recommended():
    told = advice(pilot([0.04, 0.5, 0.5], [0.5, 0.6, 0.7]), replace(SETTINGS, alpha=0.05))
    assert "chance alone finds as often" in told
    assert "was found most often: " not in told


def test_how_many_must_stay_home_follows_from_the_auc():
    (_, one) = summaries(SETTINGS, pilot([0.5], [0.5]))
    known = replace(one, aucs={"features": {10: 0.9, 20: 0.6}, "soft": {20: 0.55}})
    blocks = blocks_needed(4, 0.6, 0.001, 0.8)
    assert f"about {blocks} units at home" in needed_sentence(known, 0.001)
    assert "0.600" in needed_sentence(known, 0.001)
    assert needed_sentence(replace(one, aucs={"features": {20: 0.5}}), 0.001) == ""
    assert needed_sentence(one, 0.001) == ""


def test_few_audits_are_said_to_be_few():
    assert "show that it can be found, not how often" in advice(pilot([0.5], [1e-9, 1e-9]))


def test_what_was_not_made_and_what_is_smaller_than_the_release_is_said():
    told = advice(pilot([0.5], [1e-9], missing=("simclr-proposal-1-2",)))
    assert "1 training of 5 did not fit" in told
    assert "52 of 64 images" in told
    smaller = pilot([0.5], [1e-9])
    lines = tuple(replace(one, wanted=100) for one in smaller.lines)
    assert "had room for fewer" in advice(replace(smaller, lines=lines))
    assert "had room for fewer" not in told


def test_nothing_trained_says_so():
    found = replace(pilot([], []), missing=("simclr-proposal-1-1",))
    assert "says nothing" in advice(found)


def test_costs_without_classes_are_not_measured():
    (one, _) = summaries(SETTINGS, pilot([0.5], [0.5]))
    assert cost_sentence(replace(one, cost=None)).startswith("What it costs a model's accuracy was not measured")


def test_accuracy_that_rose_is_not_said_to_have_fallen():
    (one, _) = summaries(SETTINGS, pilot([0.5], [0.5]))
    assert "Accuracy rose by 1.2 points in one" in cost_sentence(replace(one, cost=Interval(-0.012, None, None)))
    assert interval_words(Interval(-0.0001, -0.0004, 0.0)) == "0.0 (0.0 to 0.0)"


def test_nothing_found_speaks_of_planned_models_where_others_were_trained_too():
    varied = replace(SETTINGS, variations=("side:8",))
    assert "in any of the models that learnt as planned" in advice(pilot([0.5] * 5, [0.02] * 5), varied)
