"""The PDF: says the facts, the same bytes each time, archival and accessible, and no name can change it."""

import io
import re
from dataclasses import replace

import pytest
from pypdf import PdfReader

from audits.report.document import render_pdf
from audits.report.facts import FactsError, ReportFacts
from tests.audits.report.samples import facts


def read(made: ReportFacts, pages: int | None = None) -> tuple[PdfReader, str]:
    """The document and the words on its first `pages` (all of them without it)."""
    reader = PdfReader(io.BytesIO(render_pdf(made)))
    text = "\n".join(page.extract_text() for page in reader.pages[:pages])
    return reader, re.sub(r"\s+", " ", text.replace("\u200b", ""))


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
    for place, page in enumerate(reader.pages, start=1):
        words = page.extract_text()
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
    _, text = read(replace(made, result=replace(made.result, smallest_p=0.17)))
    assert "could not have found evidence" in text


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
