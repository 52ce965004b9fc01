"""The PDF: says the facts, the same bytes each time, archival and accessible, and no name can change it."""

import re
from dataclasses import replace

import pytest

from audits.report.document import render_pdf
from audits.report.facts import FactsError, ReportFacts
from audits.report.statements import plan_limitations
from audits.report.view import view_of
from tests.audits.report.reading import read, words_on
from tests.audits.report.samples import facts

pytestmark = pytest.mark.long


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
