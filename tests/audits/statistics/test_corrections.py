"""What is corrected together: releases, primary and secondary levels, repeated runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from audits.statistics.corrections import Finding, Spending, correct, open_factor
from audits.statistics.multiplicity import MultiplicityError, holm

pytestmark = pytest.mark.long


def test_a_single_test_is_left_alone():
    only = correct([Finding("a", "features", 1, 0.03)])[0]
    assert (only.corrected, only.together) == (0.03, 1)
    assert "it was the only primary test" in only.reason


def test_primary_levels_do_not_pay_for_secondary_ones():
    tested = [
        Finding("a", "features", 1, 0.01),
        Finding("b", "features", 1, 0.20),
        Finding("a", "hard", 1, 0.015, primary=False),
        Finding("b", "hard", 1, 0.30, primary=False),
    ]
    found = correct(tested)
    assert [item.corrected for item in found[:2]] == pytest.approx([0.02, 0.20])
    assert found[2].corrected == pytest.approx(0.045)  # third place among four, after the primary 0.01
    assert [item.together for item in found] == [2, 2, 4, 4]
    assert "2 primary tests of this suspect (2 releases)" in found[0].reason
    assert "copies of other images" in found[0].reason
    assert "2 releases and 2 levels" in found[2].reason
    assert "does not decide" in found[2].reason


def test_every_further_run_makes_the_earlier_ones_weaker():
    first = [Finding("a", "features", 1, 0.02)]
    both = [*first, Finding("a", "features", 2, 0.5)]
    assert correct(first)[0].corrected == 0.02
    assert correct(both)[0].corrected == pytest.approx(0.04)
    assert "2 runs" in correct(both)[0].reason


def test_every_run_declares_its_own_levels():
    """Features decided first and soft labels the second time: each is corrected with the primary tests of both runs."""
    tested = [
        Finding("a", "features", 1, 0.01),
        Finding("a", "soft", 1, 0.04, primary=False),
        Finding("a", "features", 2, 0.9, primary=False),
        Finding("a", "soft", 2, 0.02),
    ]
    found = correct(tested)
    assert [item.corrected for item in found] == pytest.approx([0.02, 0.08, 0.9, 0.02])
    assert [item.together for item in found] == [2, 4, 4, 2]
    assert "2 levels and 2 runs" in found[3].reason


def test_no_false_evidence_more_often_than_alpha_whatever_each_run_declares():
    """Innocent at every level: three levels move together as they do in one audit; runs declare different ones."""
    generator, trials, alpha = np.random.default_rng(11), 4000, 0.05
    declared = [("features",), ("features", "soft"), ("hard",)]
    anywhere = primary = 0
    for _ in range(trials):
        tested = []
        for run, deciding in enumerate(declared, 1):
            shared = generator.normal(size=2)  # one per release
            for level in ("features", "soft", "hard"):
                own = stats.norm.sf(0.8 * shared + 0.6 * generator.normal(size=2))
                tested += [
                    Finding(name, level, run, float(p), level in deciding) for name, p in zip("ab", own, strict=True)
                ]
        found = correct(tested)
        primary += any(item.corrected <= alpha for item in found if item.tested.primary)
        anywhere += any(item.corrected <= alpha for item in found if not item.tested.primary)
    high = stats.binom.interval(0.99, trials, alpha)[1]
    assert 0 < primary <= high
    assert anywhere <= high


def test_no_false_evidence_more_often_than_alpha_whoever_runs_and_whichever_ends_first():
    """Four runs that two organisations have queued; each is stored once, with the p-values that it may know by then."""
    generator, trials, alpha = np.random.default_rng(5), 4000, 0.05
    false = 0
    for _ in range(trials):
        p, ended, found = generator.uniform(size=4), set(), []
        for run in generator.permutation(4):
            known = [i == run or (i in ended and i % 2 == run % 2) for i in range(4)]
            tested = [Finding("a", "features", i + 1, float(p[i]) if known[i] else 1.0) for i in range(4)]
            found.append(correct(tested)[run].corrected)
            ended.add(run)
        false += min(found) <= alpha
    assert 0 < false <= stats.binom.interval(0.99, trials, alpha)[1]


def test_an_open_series_keeps_its_promise_where_plain_counting_breaks_it():
    """An owner who tests an innocent again and again, and reports as soon as the corrected p is small."""
    generator, trials, runs = np.random.default_rng(3), 3000, 60
    spent = counted = 0
    for _ in range(trials):
        p = generator.uniform(size=runs)
        spent += any(p[k] * open_factor(k, 1) <= 0.05 for k in range(runs))
        counted += any((k + 1) * p[: k + 1].min() <= 0.05 for k in range(runs))
    high = stats.binom.interval(0.99, trials, 0.05)[1]
    assert spent <= high < counted
    opened = correct([Finding("a", "features", 3, 0.001)], Spending(before=2))[0]
    assert opened.corrected == pytest.approx(0.012)
    assert "without a planned end" in opened.reason


def test_untested_copies_count_as_if_they_had_shown_nothing():
    tested = [Finding("a", "features", 1, 0.001), Finding("b", "features", 1, 0.9)]
    found = correct(tested, Spending(untested=8))
    assert [(item.together, item.corrected) for item in found] == [(10, pytest.approx(0.01)), (10, 1.0)]
    assert "8 of copies that were not tested and count with p = 1" in found[0].reason
    alone = correct(tested[:1], Spending(untested=1))[0]
    assert alone.corrected == pytest.approx(0.002)
    assert "Not corrected" not in alone.reason


def test_an_open_series_pays_for_every_p_that_it_shows():
    """Three levels are shown and one decides: whoever saw the others may let them decide the next time."""
    tested = [
        Finding("a", level, 1, p, level == "soft") for level, p in (("features", 0.3), ("soft", 0.002), ("hard", 0.04))
    ]
    first = correct(tested, Spending(before=0, made=3))
    assert first[1].corrected == pytest.approx(0.002 * 1 * 4)
    assert first[1].together == 3
    later = correct(tested, Spending(untested=2, before=6, made=6))
    assert later[1].corrected == pytest.approx(0.002 * 7 * 15)
    assert "8 p-values of this suspect, 2 of them of copies that were not tested," in later[1].reason
    assert "6 of earlier runs" in later[1].reason
    assert "multiplied by 105" in later[1].reason


@given(st.lists(st.integers(1, 400), min_size=1, max_size=60))
def test_the_shares_of_all_runs_of_an_open_series_together_are_no_more_than_alpha(made):
    shares, before = 0.0, 0
    for m in made:
        shares += m / open_factor(before, m)
        before += m
    assert shares < 1


@given(st.lists(st.tuples(st.floats(1e-6, 1.0), st.booleans()), min_size=1, max_size=12), st.randoms())
def test_order_does_not_matter_and_nothing_gets_smaller(items, random):
    tested = [
        Finding(f"release {i}", "features" if primary else "hard", 1, p, primary)
        for i, (p, primary) in enumerate(items)
    ]
    found = {item.tested.release: item.corrected for item in correct(tested)}
    assert all(item.p <= found[item.release] <= 1 for item in tested)
    shuffled = random.sample(tested, len(tested))
    assert {item.tested.release: item.corrected for item in correct(shuffled)} == found
    primary = [item.p for item in tested if item.primary]
    assert [found[item.release] for item in tested if item.primary] == holm(primary)


@pytest.mark.parametrize(
    ("tested", "message"),
    [
        ([Finding("a", "soft", 1, 0.1), Finding("a", "soft", 1, 0.2)], "twice"),
        ([Finding("a", "soft", 1, 0.0)], "p-value"),
    ],
)
def test_what_cannot_be_corrected_is_refused(tested, message):
    with pytest.raises(MultiplicityError, match=message):
        correct(tested)
    with pytest.raises(MultiplicityError, match="from 0"):
        open_factor(-1, 1)
