"""The PDF: says the facts, the same bytes each time, archival and accessible, and no name can change it."""

import io
import re
from dataclasses import replace
from functools import cache

import pytest
from pypdf import PdfReader

from audits.report.document import render_pdf
from audits.report.facts import FactsError, ReportFacts
from audits.report.statements import plan_limitations
from audits.report.view import view_of
from tests.audits.report.samples import LEVELS, calibration, facts, with_levels, with_sets

pytestmark = pytest.mark.long


def read(made: ReportFacts, pages: int | None = None) -> tuple[PdfReader, str]:
    """The document and the words on its first `pages` (all of them without it)."""
    data = made.to_json()
    reader = document_of(data)
    text = "\n".join(words_on(data, number) for number in range(len(reader.pages))[:pages])
    return reader, re.sub(r"\s+", " ", text.replace("\u200b", ""))


@cache
def document_of(facts_as_json: bytes) -> PdfReader:
    """Laid out once: the same facts give the same bytes, as is tested below."""
    return PdfReader(io.BytesIO(render_pdf(ReportFacts.from_json(facts_as_json))))


@cache
def words_on(facts_as_json: bytes, page: int) -> str:
    """Of a page, counted from 0; to read it takes longer than to lay it out."""
    return document_of(facts_as_json).pages[page].extract_text()


@pytest.fixture(scope="module")
def plain():
    return read(facts())


def test_it_states_the_finding_with_its_numbers(plain):
    _, text = plain
    assert "Evidence of dependence" in text
    assert "There is evidence that the model depends on Release 1" in text
    assert "1.2 × 10⁻⁵" in text
    assert "1 case in 83,000" in text


def test_it_names_every_digest(plain):
    _, text = plain
    made = facts()
    joined = text.replace(" ", "")
    for digest in (
        made.digest,
        made.dataset.root,
        made.releases[0].root,
        made.releases[0].commitment,
        made.releases[0].beacon,
        made.suspect.digest,
        made.plan.digest,
        made.releases[0].probes_digest,
        made.references[1].digest,
        made.logs[0].head,
    ):
        assert digest in joined


def test_it_says_what_it_does_not_prove(plain):
    _, text = plain
    for words in ("is no acquittal", "distillation", "leaked key", "resale", "Licensed use", "has not been forecast"):
        assert words in text
    assert "infringe" not in text


def test_every_page_carries_the_number_and_its_place(plain):
    reader, _ = plain
    for place in range(1, len(reader.pages) + 1):
        words = words_on(facts().to_json(), place - 1)
        assert "TM-2026-000017" in words
        assert f"Page {place} of {len(reader.pages)}" in words


def test_it_is_archival_accessible_and_names_itself(plain):
    reader, _ = plain
    xmp = reader.trailer["/Root"]["/Metadata"].get_data().decode()
    assert "<pdfaid:part>2</pdfaid:part>" in xmp
    assert "<pdfaid:conformance>A</pdfaid:conformance>" in xmp
    assert "<pdfuaid:part>1</pdfuaid:part>" in xmp
    assert reader.trailer["/Root"]["/Lang"].startswith("en")
    assert reader.metadata.title.startswith("Does the model “northgate-vision-2” depend")
    assert reader.metadata.author == "Ines Okafor, Meridian Picture Archive"
    assert reader.metadata.creation_date.isoformat() == "2026-05-06T09:00:00+00:00"


def test_every_font_is_embedded(plain):
    reader, _ = plain
    fonts = {}
    for page in reader.pages:
        fonts.update(page["/Resources"]["/Font"])
    assert fonts
    for font in fonts.values():
        descriptor = font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
        assert {"/FontFile2", "/FontFile3"} & set(descriptor)


def test_the_same_facts_give_the_same_bytes():
    assert render_pdf(facts()) == render_pdf(ReportFacts.from_json(facts().to_json()))


def test_other_facts_give_other_bytes():
    assert render_pdf(facts()) != render_pdf(facts(recipient="Somebody Else"))


def test_no_evidence_is_said_plainly():
    _, text = read(facts(evidence=False), pages=1)
    assert "No evidence of dependence" in text
    assert "This is no proof that the suspect never saw the release" in text
    assert "1 case in" not in text


HOSTILE = (
    '#panic("stop")',
    '#import "x"',
    "*bold* _it_ $x$ @label <label>",
    "\\u{41} // comment /* c */",
    "#sys.inputs.view",
    "]#[",
)


def test_markup_in_names_stays_text():
    made = facts(name=HOSTILE[0], recipient=HOSTILE[1])
    dataset = replace(made.dataset, owner=HOSTILE[2], licence=HOSTILE[3], contact=HOSTILE[4])
    _, text = read(replace(made, dataset=dataset, suspect=replace(made.suspect, name=HOSTILE[5])), pages=4)
    for name in HOSTILE:
        assert re.sub(r"\s+", " ", name) in text


def test_names_in_other_scripts_and_undrawable_ones():
    _, text = read(facts(name="Привет Ωμέγα", recipient="東京写真 \U0001f600 \ue000 \u202etxt"), pages=4)
    assert "Привет Ωμέγα" in text
    joined = text.replace(" ", "")
    for point in ("[U+6771]", "[U+4EAC]", "[U+1F600]", "[U+E000]", "[U+202E]"):
        assert point in joined


def test_many_releases_make_a_longer_report_with_every_release_in_it():
    reader, text = read(facts(releases=12, evidence=False))
    assert 12 <= len(reader.pages) <= 40
    for index in range(12):
        assert f"Recipient {index + 1}" in text or index == 0
    assert "The counts behind the charts stand in the JSON form" in text


def test_an_order_that_does_not_hold_is_said():
    made = facts()
    late = replace(made.releases[0], committed_at="2026-05-04T12:00:00Z")
    _, text = read(replace(made, releases=(late,)), pages=4)
    assert "do not hold" in text
    assert "do not hold" not in read(made, pages=4)[1]


def test_a_broken_log_is_said():
    made = facts()
    broken = replace(made.logs[0], intact=False, faults=("Row 7 (key.drawn) was altered: it does not hash.",))
    _, text = read(replace(made, logs=(broken,)))
    assert "the chain is broken" in text
    assert "Row 7 (key.drawn) was altered" in text


def test_a_plan_that_could_not_reach_alpha_is_said():
    made = facts(evidence=False)
    _, text = read(replace(made, result=replace(made.result, smallest_p=0.17)), pages=7)
    assert "could not have found evidence" in text


def test_so_is_one_that_could_not_once_it_is_corrected():
    made = facts(evidence=False)
    made = replace(made, result=replace(made.result, smallest_p=0.006, smallest_corrected_p=0.012))
    _, text = read(made, pages=7)
    assert "(0.006, corrected for all tests made 0.012) lies above alpha (0.01)" in text
    numbers = dict(view_of(made)["key_numbers"])
    assert (numbers["Smallest reachable p"], numbers["The same, corrected"]) == ("0.006", "0.012")


def test_the_origin_of_every_model_is_printed():
    made = facts()
    suspect = replace(made.suspect, origin="bought from a reseller in 2025", tensors="ab" * 32)
    references = (replace(made.references[0], origin="trained by ourselves"), replace(made.references[1], origin=""))
    _, text = read(replace(made, suspect=suspect, references=references))
    assert "Origin bought from a reseller in 2025" in text
    assert "trained by ourselves" in text
    assert "not stated" in text
    assert "ab" * 32 in text.replace(" ", "")
    rows = dict(view_of(made)["suspect"])
    assert "Origin" not in rows  # an old report did not say


def test_other_names_of_the_suspect_are_printed_and_of_others_their_number():
    made = facts()
    suspect = replace(made.suspect, tensors="ab" * 32, also_registered=("vision-2b",), registered_elsewhere=2)
    told = replace(made, suspect=suspect, run=replace(made.run, other_runs=3, other_weights=2))
    assert dict(view_of(told)["suspect"])["Also registered"] == (
        "as “vision-2b”, 2 times by another organisation; all count as one suspect"
    )
    assert "its answers to noise images agree" in dict(plan_limitations(told))["Other weights."]


def test_a_small_p_among_controls_is_explained_beside_them():
    made = facts()
    one = replace(made.controls[1], p=0.031)
    _, text = read(replace(made, controls=(one, *made.controls[1:])), pages=7)
    assert "1 of 12 controls has a p of 0.05 or less" in text
    assert "chance alone gives up to 0.6 such on average" in text
    assert "0.031 (small)" in text
    assert "None of 12 controls have a p of 0.05 or less" in read(made)[1]


def test_a_demonstration_says_so_on_every_page():
    reader, _ = read(replace(facts(), demo=True), pages=0)
    assert all("Demonstration instance" in page.extract_text() for page in reader.pages)


def test_without_references_charts_or_controls_it_still_reads():
    made = replace(facts(), references=(), histograms=(), controls=(), scores=())
    _, text = read(made)
    for words in ("No reference was used", "No control was run", "No scores were recorded"):
        assert words in text


def test_a_time_that_is_none_is_refused():
    with pytest.raises(FactsError, match="no time"):
        render_pdf(replace(facts(), issued_at="soon"))


def test_a_closed_series_says_what_the_correction_rests_on():
    made = facts()
    closed = replace(made, run=replace(made.run, earlier_runs=2), plan=replace(made.plan, series_is_open=False))
    said = dict(plan_limitations(closed))
    assert "2 earlier runs" in said["Earlier runs."]
    assert "only if the number of runs of this suspect was settled beforehand" in said["A closed series."]
    assert "as its run 3, p would be multiplied by 12" in said["A closed series."]
    opened = dict(plan_limitations(replace(closed, plan=replace(closed.plan, series_is_open=True))))
    assert "A closed series." not in opened
    assert "spend no more than alpha" in opened["An open series."]


def test_runs_ordered_after_the_audit_are_a_limitation():
    made = facts()
    assert "Later runs." not in dict(plan_limitations(made))
    again = replace(made, run=replace(made.run, later_runs=2))
    assert "2 runs of the same suspect" in dict(plan_limitations(again))["Later runs."]
    assert ["Later runs of this pair", "2"] in view_of(again)["run"]


def test_runs_of_other_weights_are_a_limitation():
    made = facts()
    assert "Other weights." not in dict(plan_limitations(made))
    tried = replace(made, run=replace(made.run, other_runs=3, other_weights=2))
    assert "3 runs of 2 other weights files" in dict(plan_limitations(tried))["Other weights."]


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


def test_without_a_calibration_it_says_so(plain):
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
