"""Audits of releases of which images stayed home, through services and sandbox, from the plan to page and JSON."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse

from audits.models import Audit
from audits.services.plans.forecasts import forecast
from audits.services.plans.values import values_of
from audits.services.results.as_json import as_json
from audits.services.runs import queueing
from provenance.models import LogEntry
from provenance.services.jobs import queue
from tests.audits.builders_choice_runs import (
    BLOCK,
    BLOCKS,
    locked_plan,
    make_version,
    pixels_at_home,
    pixels_below,
    register,
    remembering,
    withheld_release,
)
from tests.known_keys import known_keys

pytestmark = [pytest.mark.suspect, pytest.mark.long]
LEVELS = ("features", "soft", "hard")


def ended(audit: Audit) -> Audit:
    return Audit.objects.select_related("job", "plan").get(pk=audit.pk)


def run(world, plan) -> Audit:
    audit = ended(queueing.queue(plan, by=world.auditor))
    assert (audit.state, audit.job.reason) == ("done", "")
    return audit


@pytest.mark.django_db(transaction=True)
def test_a_model_that_remembers_the_copy_is_found_and_an_innocent_one_is_not(world, sign_in):
    with known_keys(1):
        release = withheld_release(world, make_version(world))
    guilty = register(world, "guilty", remembering(pixels_below(release.folder / "files"), seed=1))
    innocent = register(world, "innocent", remembering(None, seed=2))
    references = [register(world, f"reference-{n}", remembering(None, seed=n), "reference") for n in (3, 4)]
    found = run(world, locked_plan(world, [release], guilty, references=references))
    row = found.rows.get()
    levels = row.result["levels"]
    assert found.conclusion == "evidence", found.sentence
    assert "“North”" in found.sentence
    assert row.p < 1e-4
    assert levels["features"]["without"]["auc"] > 0.7
    assert levels["features"]["controls"][0]["kind"] == "wrong key"
    assert not levels["features"]["tainted"]
    assert {one["score"] for one in levels["soft"]["scores"]} == {"density", "confidence"}
    assert (row.result["blocks"], row.result["alternatives"], row.result["views"]) == (BLOCKS, BLOCKS * BLOCK, 6)
    assert found.facts["forward_passes"] == 3 * BLOCKS * BLOCK * 6
    assert not (found.folder / "images").exists()
    assert run(world, locked_plan(world, [release], innocent, references=references)).conclusion == "no_evidence"
    _check_page_and_json(world, found, sign_in)


def _check_page_and_json(world, audit, sign_in):
    for person, sees_all in ((world.rights_holder, True), (world.auditor, False)):
        page = sign_in(person).get(reverse("audit_detail", args=[audit.pk]))
        assert page.status_code == 200
        text = page.content.decode()
        assert "Published images and those that stayed home" in text
        assert "Density of views" in text
        told = as_json(audit, person)
        (shown,) = told["releases"]
        assert shown["result"]["shuffled"] is not sees_all
        assert set(shown["result"]["levels"]) == set(LEVELS)
        assert ".png" not in json.dumps(told)
    soft = sign_in(world.auditor).get(reverse("audit_detail", args=[audit.pk]), {"level": "soft"}).content.decode()
    assert "Confidence" in soft


@pytest.mark.django_db(transaction=True)
def test_whose_copy_was_used_is_told_by_one_audit_of_all_copies(world):
    with known_keys(2):
        version = make_version(world)
        copies = [withheld_release(world, version, recipient) for recipient in ("North", "South")]
    suspect = register(world, "suspect", remembering(pixels_below(copies[1].folder / "files"), seed=1))
    audit = run(world, locked_plan(world, copies, suspect))
    told = {row.release.recipient: row.conclusion for row in audit.rows.all()}
    assert told == {"North": "no_evidence", "South": "evidence"}
    assert "“South”" in audit.sentence
    assert "“North”" not in audit.sentence


@pytest.mark.django_db(transaction=True)
def test_rigged_references_are_caught_before_they_count(world):
    """Where the p with references counts, one that was trained on what stayed home convicts nobody."""
    with known_keys(3):
        release = withheld_release(world, make_version(world))
    innocent = register(world, "innocent", remembering(None, seed=2))
    rigged = register(world, "rigged", remembering(pixels_at_home(release), seed=5), "reference")
    plan = locked_plan(world, [release], innocent, references=[rigged], decide_with_references=True)
    row = run(world, plan).rows.get()
    assert row.result["levels"]["features"]["tainted"] == ["rigged"]
    assert row.conclusion == "inconclusive"
    low = [c for c in row.result["levels"]["features"]["controls"] if c["tail"] == "low"]
    assert low[0]["p"] < 1e-4


@pytest.mark.django_db(transaction=True)
def test_a_killed_run_goes_on_and_finds_the_same(world, monkeypatch):
    with known_keys(4):
        release = withheld_release(world, make_version(world))
    suspect = register(world, "suspect", remembering(pixels_below(release.folder / "files"), seed=1))
    plan = locked_plan(world, [release], suspect, membership_score="omnibus", level="soft", wrong_key_control=False)
    killed = _killed_once(monkeypatch)
    audit = ended(queueing.queue(plan, by=world.auditor))
    assert audit.state == "failed"
    assert "ended" in audit.job.reason
    assert killed == [True]
    queue.retry(audit.job, by=world.auditor)
    audit = ended(audit)
    assert (audit.state, audit.job.reason) == ("done", "")
    assert 0 < audit.facts["answered_before"] < audit.facts["forward_passes"] == BLOCKS * BLOCK * 6
    level = audit.rows.get().result["levels"]["soft"]
    assert level["without"]["score"] == "omnibus"
    assert level["without"]["choices"] == 100_000
    assert audit.conclusion == "evidence"
    assert level["controls"] == []


def _killed_once(monkeypatch) -> list[bool]:
    """The confined process dies at the third question about views."""
    import os
    import signal

    from audits.suspects.sandbox import SandboxedModel

    ask, asked, killed = SandboxedModel.answer_views, [], []

    def answer(model, name, indices, views):
        asked.append(1)
        if len(asked) == 3:
            killed.append(True)
            os.kill(model._process.pid, signal.SIGKILL)
        return ask(model, name, indices, views)

    monkeypatch.setattr(SandboxedModel, "answer_views", answer)
    return killed


@pytest.mark.django_db(transaction=True)
def test_the_plan_says_beforehand_what_it_costs_and_could_find(world, sign_in):
    with known_keys(5):
        release = withheld_release(world, make_version(world))
    suspect = register(world, "suspect", remembering(None, seed=2))
    plan = locked_plan(world, [release], suspect)
    ahead = forecast(values_of(plan), plan)
    assert ahead.suspect_passes == ahead.passes == BLOCKS * BLOCK * 6
    assert ahead.smallest_p == pytest.approx(4.0**-BLOCKS)
    assert ahead.reaches_alpha
    assert [one.auc for one in ahead.powers] == [0.52, 0.55, 0.6, 0.7]
    assert ahead.powers[0].power < ahead.powers[-1].power
    assert ahead.powers[-1].power > 0.8
    frozen = plan.frozen
    assert (frozen["views"], frozen["smallest_crop"], frozen["membership_score"]) == (6, 0.8, "density")
    assert "uniform" in frozen["null"]
    assert "permutations" not in frozen
    page = sign_in(world.auditor).get(reverse("plan_detail", args=[plan.pk])).content.decode()
    assert "Views of every image" in page
    assert "at an AUC of" in page
    assert "<dt>Probes</dt>" not in page
    assert LogEntry.objects.filter(verb="plan.locked").count() == 1
    form = sign_in(world.auditor).get(reverse("plan_new"), {"version": str(release.version.pk)}).content.decode()
    assert 'name="views"' in form
    assert 'name="probes"' not in form
