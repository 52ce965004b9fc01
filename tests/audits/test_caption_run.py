"""Audits of images at home by their captions: who is found, what a plan refuses, and that no caption is shown."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse

from audits.report.definitions import definitions
from audits.report.facts import ReportFacts
from audits.report.view import view_of
from audits.services.plans.forecasts import forecast
from audits.services.plans.reference_suggestions import Verdict, suggest_references
from audits.services.plans.values import PlanError, values_of
from audits.services.reports import issuing
from audits.services.results.as_json import as_json
from audits.services.runs import queueing
from tests.audits.builders_captions import captioned_version, clip_weights, published, register_clip
from tests.audits.builders_choice_runs import SURE, locked_plan, make_version, register, remembering, withheld_release
from tests.known_keys import known_keys

pytestmark = [pytest.mark.suspect, pytest.mark.long, pytest.mark.django_db(transaction=True)]


def run(world, plan):
    audit = queueing.queue(plan, by=world.auditor)
    audit.refresh_from_db()
    assert (audit.state, audit.job.reason) == ("done", "")
    return audit


def test_a_model_that_knows_captions_by_heart_is_found_and_an_innocent_one_is_not(world, sign_in):
    with known_keys(1):
        release = withheld_release(world, captioned_version(world))
    learnt = published(release)
    guilty = register_clip(world, "guilty", clip_weights(1, learnt))
    innocent = register_clip(world, "innocent", clip_weights(2))
    reference = register_clip(world, "reference", clip_weights(3), "reference")
    plan = locked_plan(world, [release], guilty, references=[reference], membership_score="caption")
    assert (plan.frozen["membership_score"], plan.frozen["own_captions"]) == ("caption", True)
    audit = run(world, plan)
    level = audit.rows.get().result["levels"]["features"]
    assert audit.conclusion == "evidence", audit.sentence
    assert level["without"]["score"] == "caption"
    assert level["p"] < 1e-5
    by_score = {test["score"]: test for test in level["scores"]}
    assert by_score["density"]["p"] > 1e-5  # its image tower met nothing
    _check_words(world, audit, sign_in, learnt[1])
    cleared = run(world, locked_plan(world, [release], innocent, membership_score="omnibus", alpha=SURE))
    assert cleared.conclusion == "no_evidence"
    level = cleared.rows.get().result["levels"]["features"]
    assert {test["score"] for test in level["scores"]} == {"density", "caption"}
    assert level["without"]["score"] == "omnibus"


def _check_words(world, audit, sign_in, captions):
    """Page, JSON and report name the score; none of them holds a caption."""
    page = sign_in(world.auditor).get(reverse("audit_detail", args=[audit.pk])).content.decode()
    assert "Density to the own caption" in page
    report = issuing.issue(audit, by=world.legal)
    report.refresh_from_db()
    assert report.state == "issued", report.job.reason
    with report.json.open("rb") as stream:
        facts = stream.read().decode()
    assert "Density to the own caption" in dict(definitions(ReportFacts.from_json(facts.encode())))
    assert '"score":"caption"' in facts.replace('": "', '":"')
    everything = page + facts + json.dumps(as_json(audit, world.auditor)) + json.dumps(audit.plan.frozen)
    assert not [caption for caption in captions if caption in everything]


def test_a_plan_by_captions_is_refused_where_somebody_cannot_read_them(world):
    with known_keys(1):
        captioned = withheld_release(world, captioned_version(world))
        bare = withheld_release(world, make_version(world, "Bare"))
    reading = register_clip(world, "reading", clip_weights(2))
    silent = register_clip(world, "silent", clip_weights(4), reads=False)
    unknown = register_clip(world, "unknown", clip_weights(5), reads=None)
    other = register(world, "exported", remembering(None, seed=4), "reference")
    for release, suspect, more, said in (
        (bare, reading, {}, "has no captions"),
        (captioned, silent, {}, "silent has no text tower"),
        (captioned, unknown, {}, "Run its connection test"),
        (captioned, reading, {"references": [other]}, "Leave this reference out"),
    ):
        with pytest.raises(PlanError, match=said):
            locked_plan(world, [release], suspect, membership_score="caption", **more)
    for score, verdict in (("caption", Verdict.CANNOT), ("density", Verdict.MAY_SERVE)):
        (one,) = suggest_references(reading, [captioned], ["features"], world.auditor, score)
        assert (one.model, one.verdict) == (other, verdict)


def test_a_score_of_captions_that_is_left_out_is_named_with_its_reason_in_plan_and_report(world, sign_in):
    with known_keys(1):
        captioned = withheld_release(world, captioned_version(world))
    reading = register_clip(world, "reading", clip_weights(2))
    other = register(world, "exported", remembering(None, seed=4), "reference")
    plan = locked_plan(world, [captioned], reading, references=[other], membership_score="omnibus")
    said = "exported reads no captions, and all models are asked the same"
    assert plan.frozen["own_captions"] is False
    assert said in plan.frozen["captions_left_out"]
    assert said in " ".join(forecast(values_of(plan)).warnings)
    assert said in sign_in(world.auditor).get(reverse("plan_detail", args=[plan.pk])).content.decode()
    report = issuing.issue(run(world, plan), by=world.legal)
    report.refresh_from_db()
    with report.json.open("rb") as stream:
        told = ReportFacts.from_json(stream.read())
    assert said in dict(view_of(told)["plan"])["Captions"]


@pytest.mark.parametrize(
    ("suspect", "score", "is_said"),
    [("reading", "density", True), ("silent", "density", False), ("silent", "omnibus", True)],
)
def test_captions_are_said_to_be_left_out_where_one_would_expect_them(world, suspect, score, is_said):
    with known_keys(1):
        captioned = withheld_release(world, captioned_version(world))
        bare = withheld_release(world, make_version(world, "Bare"))
    asked = register_clip(world, suspect, clip_weights(2), reads=suspect == "reading")
    other = register(world, "exported", remembering(None, seed=4), "reference")
    for release, expected in ((captioned, is_said), (bare, False)):
        plan = locked_plan(world, [release], asked, references=[other], membership_score=score)
        assert ("captions_left_out" in plan.frozen) is expected


def test_captions_are_no_matter_of_labels(world):
    with known_keys(1):
        release = withheld_release(world, captioned_version(world))
    suspect = register(world, "exported", remembering(None, seed=4))
    with pytest.raises(PlanError, match="matter of features"):
        locked_plan(world, [release], suspect, membership_score="caption", level="soft")
