"""The PDF's parts that few reports have, or many lines of: levels, mark sets, calibrations, other tests."""

from dataclasses import replace

import pytest

from audits.report.limitations import general_limitations
from audits.report.statements import plan_limitations
from audits.report.view import view_of
from audits.report.words_of_test import words_of
from tests.audits.report.reading import read
from tests.audits.report.samples import LEVELS, calibration, facts, with_levels, with_sets

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def of_levels():
    return read(with_levels(facts()))[1]


@pytest.fixture(scope="module")
def of_sets():
    return read(with_sets(facts()))[1]


def test_levels_are_primary_or_secondary_with_raw_and_corrected_p_and_the_reason(of_levels):
    assert "Primary levels, which decide features, soft labels" in of_levels
    assert "Secondary levels hard labels" in of_levels
    assert "The rows in bold are those of primary levels" in of_levels
    assert "They never decide" in of_levels
    for words in ("over 2 primary tests of this suspect (2 levels)", "does not decide the conclusion"):
        assert words in of_levels
    assert "1.2 × 10⁻⁵ 2.4 × 10⁻⁵" in of_levels  # with references, and corrected over two
    assert "3.6 × 10⁻⁵" in of_levels  # the secondary one, over three
    assert "Series of runs open" in of_levels
    assert "all runs to come together spend no more than alpha" in of_levels


def test_what_other_tests_say_is_labelled_and_stands_apart_from_the_finding(of_levels):
    assert "What other tests would have said" in of_levels
    assert "None of them has an exact error rate, and none had any part in the finding." in of_levels
    assert "paired t-test 3.1 × 10⁻⁴⁰ 23.60 % (22.60 %–24.60 %) 3,000" in of_levels
    assert "view consistency 0.21 not calibrated 64" in of_levels
    assert "arXiv 2209.06015" in of_levels
    assert "GMM log-likelihood: The suspect gives the same features" in of_levels
    assert "Photographs never released, version 1" in of_levels
    assert with_levels(facts()).plan.held_out.root in of_levels.replace(" ", "")


def test_the_calibration_is_named_with_its_code(of_levels):
    assert "The tests keep their error rate" in of_levels
    assert "8c0e5f7e-3c43-4b7e-9d46-0b0a4f4a4c11" in of_levels
    assert "Error rate of the tests holds" in of_levels
    assert "0.1.0 (3f2a91c); the code that this audit ran with" in of_levels
    assert "assignment (patch) features without 500 4.80 %" in of_levels
    made = with_levels(facts())
    other = replace(calibration(holds=False), same_code=False, audit_code_version="0.2.0", families_missing=("warp",))
    text = read(replace(made, calibration=other))[1]
    assert "this audit ran with 0.2.0" in text
    assert "the family warp, which this audit uses" in text
    assert text.count("A test does not keep its error rate") == 2  # among the limitations as well
    assert "Error rate of the tests does not hold" in text
    nearest = "“two secrets combined” is the nearest calibrated test. This audit combines 3 sets."
    few = replace(calibration(), holds=None, sentence="There are too few pairs to tell.", differences=(nearest,))
    text = read(replace(made, calibration=few))[1]
    assert "Error rate of the tests too few pairs to tell" in text
    assert text.count("There are too few pairs to tell.") == 2
    assert nearest in text


def test_without_a_calibration_it_says_so():
    plain = read(facts())
    assert "No calibration of this installation was finished" in plain[1]
    assert "No other test was applied in this audit." in plain[1]


def test_several_mark_sets_stand_by_themselves_and_together(of_sets):
    assert "2 mark sets with secrets of their own, combined" in of_sets
    assert "The mark sets by themselves" in of_sets
    assert "it is not corrected and decides nothing" in of_sets
    assert "Release 1, mark set 1 patch, associated" in of_sets
    assert "Release 1, mark set 2 warp, plain" in of_sets
    assert "10 groups, all 12,096 allowed assignments" in of_sets
    assert "199 decoy keys" in of_sets
    assert "Mark set. One of several marks that a release bears" in of_sets
    assert "Decoy keys at most 199" in of_sets
    assert "Fisher's method over the mark sets of a release" in of_sets
    for words in ("Mark set 1, as committed", "Mark set 2, as committed", "File of clusters, mark set 1"):
        assert words in of_sets
    assert "true key: " in of_sets
    assert "true assignment: " in of_sets


def test_what_random_draws_follow_from_is_said_with_the_nonce():
    made = facts()
    _, text = read(replace(made, run=replace(made.run, nonce="0f" * 32)))
    assert "random ones follow from the plan's digest and the run's nonce" in text
    assert "Nonce of the run" in text
    _, without = read(made)  # of a run from before all had one
    assert "random ones follow from the plan's digest" in without
    assert "nonce" not in without.partition("Permutations")[2].partition("Stopping rule")[0]


def test_restricted_assignments_are_put_into_words(of_sets):
    assert "patterns were exchanged only within 2 classes of groups of like size and 2 pairs were ruled out" in of_sets
    assert "The key chose among 12,096 assignments, and the test compares with these alone." in of_sets


def test_many_other_tests_are_cut_to_the_levels_that_decide():
    made = with_levels(facts(releases=12, evidence=False))
    one = made.other_tests[0]
    many = tuple(
        replace(one, release=release.label, level=level) for release in made.releases for level in LEVELS for _ in "ab"
    )
    text = read(replace(made, other_tests=many))[1]
    assert "Only the lines at the deciding levels are printed" in text


def test_many_lines_of_a_calibration_and_of_mark_sets_are_cut_to_what_decides():
    made = with_sets(facts())
    line = made.calibration.rows[0]
    lines = tuple(
        replace(line, level=level, references=references, pairs=pairs)
        for level in LEVELS
        for references in (True, False)
        for pairs in range(501, 505)
    )
    rows = [row for row in made.result.rows if row.set is None]
    rows += [row for row in made.result.rows if row.set is not None] * 7
    made = replace(
        made,
        calibration=replace(made.calibration, rows=lines),
        result=replace(made.result, rows=tuple(rows)),
    )
    text = read(made)[1]
    assert "Only the lines of the p that counts at the deciding levels are printed" in text
    assert "assignment (patch) soft labels with 503" in text
    assert "assignment (patch) hard labels" not in text
    assert "assignment (patch) features without" not in text
    assert "Only the deciding levels are printed" in text


def test_without_a_calibration_other_tests_stand_alone():
    made = with_levels(facts())
    bare = tuple(replace(other, innocent=None) for other in made.other_tests)
    text = read(replace(made, calibration=None, other_tests=bare))[1]
    assert "paired t-test 3.1 × 10⁻⁴⁰ 3,000" in text
    assert "calibrated" not in text.split("What other tests would have said")[1].split("Left out")[0]


def test_a_nominal_p_of_zero_is_printed():
    made = with_levels(facts())
    zero = replace(made.other_tests[0], nominal_p=0.0)
    assert "paired t-test 0 23.60 %" in read(replace(made, other_tests=(zero,)), pages=7)[1]


def test_a_run_that_may_end_early_at_images_at_home_says_so_beside_marks():
    made = facts()
    row = ["Stopping rule of images at home", "3 looks, after equal parts"]
    assert row[0] not in str(view_of(made))
    assert row in view_of(replace(made, plan=replace(made.plan, looks_rule=row[1])))["plan"]


def test_a_copy_that_bears_marks_too_is_not_said_to_be_unchanged():
    made = facts()
    both = words_of(replace(made, plan=replace(made.plan, views=4))).measured
    assert "the one at home" in both
    assert "this copy was changed" not in both


def test_of_a_copy_without_marks_nothing_is_said_of_marks():
    made = facts()
    made = replace(made, plan=replace(made.plan, test="choice", views=4), references=())
    said = dict([*general_limitations(made), *plan_limitations(made)])
    assert "too few of its images" in said["What a negative finding means."]
    assert "mark does" not in said["References."]


def test_a_wrong_key_that_was_found_is_told_whatever_the_level():
    made = facts()
    assert "A wrong key was found." not in dict(plan_limitations(made))
    (first, *rest) = made.controls
    wrong = replace(first, kind="wrong key", p=made.plan.alpha / 2, level="soft")
    told = dict(plan_limitations(replace(made, controls=(wrong, *rest))))
    assert f"{first.release}, soft labels" in told["A wrong key was found."]
