"""A report tells every key of the same images, and what an exploratory plan or a late key means for the finding."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from pypdf import PdfReader

from audits.report.chronology import order_checks
from audits.report.document import render_pdf
from audits.report.facts import ReportFacts
from audits.report.keys import KeyFacts, KeysFacts, OtherRun
from audits.report.statements import finding_meaning, finding_title, plan_limitations
from audits.report.view_keys import MOST_KEYS, keys_view
from tests.audits.report.samples import facts

pytestmark = pytest.mark.long

AFTER, BEFORE = "2026-05-05T09:00:00Z", "2026-05-01T00:00:00Z"


def key(number: int, **more: object) -> KeyFacts:
    usual = {
        "state": "embedded",
        "drawn_at": f"2026-05-04T09:{number % 60:02d}:01Z",
        "committed_at": f"2026-05-04T09:{number % 60:02d}:02Z",
        "released_to": f"Recipient {number}",
        "released_at": f"2026-05-04T09:{number % 60:02d}:03Z",
        "tested_at": "",
        "late": False,
        "tested_here": False,
    }
    return KeyFacts(**{**usual, **more})  # type: ignore[arg-type]


def keys(**more: object) -> KeysFacts:
    rows = (
        key(1, tested_at="2026-05-05T12:00:00Z", tested_here=True),
        key(2),
        key(3, state="drawn", committed_at="", released_to="", released_at=""),
        key(4, late=True),
    )
    usual = {"first_seen_at": AFTER, "published_on": "", "rows": rows, "elsewhere": 0, "never_tested": 2}
    return KeysFacts(**{**usual, "committed": 3, "untested": 2, **more})  # type: ignore[arg-type]


def with_keys(made: ReportFacts, **more: object) -> ReportFacts:
    return replace(made, keys=keys(**more))


def words(made: ReportFacts) -> str:
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(render_pdf(made))).pages)
    return re.sub(r"\s+", " ", text.replace("\u200b", ""))


def test_every_key_stands_in_the_document_with_its_dates():
    text = words(with_keys(facts(), elsewhere=7))
    assert "Keys of the same images" in text
    assert "2026-05-05 12:00:00 (this audit)" in text
    assert "Recipient 2, 2026-05-04 09:02:03 never" in text
    assert "drawn 2026-05-04 09:03:01 – – never" in text
    assert "(after the suspect was first seen)" in text
    assert "4 keys of the same images had been drawn" in text
    assert "2 released copies of them had never been tested against this suspect" in text
    assert "3 keys had been committed to, of all organisations, and 2 of them count in the correction" in text
    assert "7 keys of other organisations are not listed" in text


def test_facts_with_keys_are_read_as_they_were_written():
    made = with_keys(facts())
    assert ReportFacts.from_json(made.to_json()) == made


def test_of_many_keys_those_that_were_tested_here_are_printed():
    many = tuple(key(number) for number in range(200))
    shown = keys_view(keys(rows=(*many, key(201, tested_at=AFTER, tested_here=True))), AFTER)
    assert len(shown["keys"]) == MOST_KEYS + 1
    assert "(this audit)" in shown["keys"][-1][-1]
    assert shown["keys_left"] == 200 - MOST_KEYS


def test_the_time_of_an_earlier_run_is_not_called_this_audits():
    (row,) = keys_view(keys(rows=(key(1, tested_at=AFTER, tested_here=True),)), "2026-05-06T09:00:00Z")["keys"]
    assert row[-1].endswith("(an earlier run), and in this audit")


def test_a_key_later_than_the_suspect_is_told():
    in_time, late = with_keys(facts()), with_keys(facts(), first_seen_at=BEFORE)
    sentence = "Every commitment was recorded before the suspect was first seen."
    assert {check.sentence: check.holds for check in order_checks(in_time)}[sentence]
    assert not {check.sentence: check.holds for check in order_checks(late)}[sentence]
    assert sentence not in {check.sentence for check in order_checks(facts())}  # an old report
    assert "draw until one suits it" in dict(plan_limitations(late))["Keys later than the suspect."]
    assert "Keys later than the suspect." not in dict(plan_limitations(in_time))


@pytest.mark.parametrize("word", ["exploratory: small p", "exploratory: no small p"])
def test_an_exploratory_finding_says_in_every_place_that_it_is_no_evidence(word):
    made = with_keys(facts())
    made = replace(
        made,
        plan=replace(made.plan, exploratory=True),
        result=replace(made.result, conclusion=word, sentence="Exploratory."),
    )
    assert finding_title(made).startswith("Exploratory: ")
    assert "nothing that this run found is evidence" in finding_meaning(made)
    assert "in at most" not in finding_meaning(made)
    text = words(made)
    assert "an exploratory run is no evidence" in text
    assert "Evidence of dependence" not in text


def test_a_recipient_at_issue_is_named_with_the_number_of_other_copies():
    made = with_keys(facts(), committed=30, untested=1)
    named = replace(made, plan=replace(made.plan, recipient_at_issue="Northgate Labs"))
    said = dict(plan_limitations(named))["One recipient at issue."]
    assert "named Northgate Labs" in said
    assert "29 copies of the same images had been committed to" in said
    assert "1 of them, for the same recipient, count" in said
    assert "One recipient at issue." not in dict(plan_limitations(made))


def test_runs_against_other_images_and_what_could_not_be_compared_are_told():
    ends = ["evidence", "no evidence", "", *["failed"] * 20]
    runs = tuple(OtherRun(f"2026-05-06T09:{place:02d}:00Z", end) for place, end in enumerate(ends))
    made = with_keys(facts(), other_images=runs, other_sets=4, models_not_compared=2, versions_not_compared=1)
    assert ReportFacts.from_json(made.to_json()) == made
    said = dict(plan_limitations(made))
    others = said["Other images of the same owner."]
    assert "run 23 times against 4 other sets of images of the same owner" in others
    assert "2026-05-06 09:00:00 (evidence), 2026-05-06 09:01:00 (no evidence), 2026-05-06 09:02:00, " in others
    assert "09:19:00 (failed) and 3 more, all in the JSON form" in others
    assert "2 models and 1 dataset version of this server could not be compared" in said["Not compared."]
    assert "run 23 times" in words(made)
    hidden = with_keys(facts(), other_images=runs[:1], other_runs_elsewhere=2, other_sets=3)
    others = dict(plan_limitations(hidden))["Other images of the same owner."]
    assert "run 3 times against 3 other sets" in others
    assert "(UTC: 2026-05-06 09:00:00 (evidence); 2 by other organisations, not listed)" in others
    alone = with_keys(facts(), other_runs_elsewhere=1, other_sets=1)
    assert "(1 by other organisations, not listed)" in dict(plan_limitations(alone))["Other images of the same owner."]
    usual = dict(plan_limitations(with_keys(facts())))
    assert not {"Other images of the same owner.", "Not compared.", "Manifests given up."} & usual.keys()


def test_manifests_that_were_given_up_are_told():
    made = with_keys(facts(), versions_given_up=2)
    assert ReportFacts.from_json(made.to_json()) == made
    said = dict(plan_limitations(made))["Manifests given up."]
    assert "The manifest of 2 dataset versions of the owner or the auditor was lost" in said
    assert "sharing images with every other version of its organisation" in said
    assert "was lost and given up" in words(made)


def test_a_plan_of_an_earlier_version_says_which_copies_did_not_count():
    made = with_keys(facts(), committed=None, untested=None)
    assert "2 copies of the same images" in dict(plan_limitations(made))["Copies that did not count."]
    assert "settled beforehand" in dict(plan_limitations(made))["A closed series."]
    today = dict(plan_limitations(with_keys(facts())))
    assert "Copies that did not count." not in today
    assert "a further one is refused" in today["A closed series."]
