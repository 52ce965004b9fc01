"""The report's facts: one value, one JSON, read back as the same value; contradictions are refused."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.report.facts import FactsError, ReportFacts
from tests.audits.report.samples import facts, with_levels, with_sets


def test_facts_survive_their_json():
    made = facts(releases=3)
    assert ReportFacts.from_json(made.to_json()) == replace(
        made, releases=tuple(replace(r, settings=dict(r.settings)) for r in made.releases)
    )
    assert ReportFacts.from_json(made.to_json()).to_json() == made.to_json()


@pytest.mark.parametrize("dial", [with_levels, with_sets])
def test_facts_of_levels_sets_other_tests_and_calibration_survive_their_json(dial):
    made = dial(facts())
    again = ReportFacts.from_json(made.to_json())
    assert again.to_json() == made.to_json()
    assert again.calibration == made.calibration
    assert again.other_tests == made.other_tests
    assert again.result == made.result


def test_facts_of_an_old_report_are_read_with_what_they_lack():
    """Reports stay readable: whatever came later has a value that says it was not there."""
    outer = json.loads(facts().to_json())
    later = {
        "": ("other_tests", "other_tests_left_out", "calibration"),
        "plan": ("primary_levels", "series_is_open", "held_out", "decoys", "combination"),
        "run": ("later_runs",),
        "suspect": ("origin", "tensors", "also_registered", "registered_elsewhere"),
        "result": ("smallest_corrected_p",),
    }
    for part, names in later.items():
        for name in names:
            del (outer["facts"][part] if part else outer["facts"])[name]
    for row in outer["facts"]["result"]["rows"]:
        for name in ("set", "test", "combined", "together", "reason", "smallest_corrected_p"):
            del row[name]
    for reference in outer["facts"]["references"]:
        del reference["origin"]
    for release in outer["facts"]["releases"]:
        del release["restrictions"]
    read = ReportFacts.from_json(json.dumps(outer).encode())
    assert read.to_json() == facts().to_json()


def test_the_json_is_canonical_and_its_digest_is_the_one_the_pdf_prints():
    data = facts().to_json()
    assert json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == data
    assert facts().digest == hashlib.sha256(data).hexdigest()


def test_any_name_survives():
    name = "#panic() \u202e 株式会社"
    assert ReportFacts.from_json(facts(name=name).to_json()).dataset.name == name


@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.text(max_size=5), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_anything_else_is_refused_with_a_sentence(data):
    with pytest.raises(FactsError, match=r"report"):
        ReportFacts.from_json(data)


@pytest.mark.parametrize("part", ["dataset", "plan", "result", "logs", "suspect", "releases"])
@pytest.mark.parametrize("wrong", [None, "text", [1], {"a": 1}])
def test_a_part_of_the_wrong_kind_is_refused(part, wrong):
    outer = json.loads(facts().to_json())
    outer["facts"][part] = wrong
    with pytest.raises(FactsError):
        ReportFacts.from_json(json.dumps(outer).encode())


def test_a_result_of_an_undescribed_release_is_refused():
    made = facts()
    with pytest.raises(FactsError, match="Release 9"):
        replace(made, scores=(replace(made.scores[0], release="Release 9"),))


def test_two_releases_with_one_label_are_refused():
    made = facts()
    with pytest.raises(FactsError, match="share a label"):
        replace(made, releases=made.releases * 2)


def test_numbers_that_json_cannot_hold_are_refused():
    made = facts()
    with pytest.raises(FactsError):
        replace(made, scores=(replace(made.scores[0], coherence=float("nan")),)).to_json()
