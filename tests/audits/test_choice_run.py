"""Audits of releases of which images stayed home, through services and sandbox, from the plan to page and JSON."""

from __future__ import annotations

import io
import json

import pytest
from django.urls import reverse
from django.utils import timezone
from pypdf import PdfReader

from audits.models import Audit, Report
from audits.report.facts import ReportFacts
from audits.services.plans.forecasts import forecast
from audits.services.plans.values import values_of
from audits.services.reports import issuing
from audits.services.reports.facts import collect
from audits.services.results.as_json import as_json
from audits.services.runs import queueing
from audits.statistics.combination import combine
from provenance.marks import MarkSettings
from provenance.models import LogEntry
from provenance.services.jobs import queue
from tests.audits.builders_choice_runs import (
    BLOCK,
    BLOCKS,
    SURE,
    locked_plan,
    make_version,
    pixels_at_home,
    pixels_below,
    register,
    remembering,
    withheld_release,
)
from tests.audits.builders_runs import CLASSES
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
    assert [one["kind"] for one in levels["features"]["controls"][:2]] == ["reference", "reference"]
    assert not levels["features"]["tainted"]
    assert {one["score"] for one in levels["soft"]["scores"]} == {"density", "confidence"}
    assert (row.result["blocks"], row.result["alternatives"], row.result["views"]) == (BLOCKS, BLOCKS * BLOCK, 6)
    assert found.facts["forward_passes"] == 3 * BLOCKS * BLOCK * 6
    assert not (found.folder / "images").exists()
    cleared = run(
        world, locked_plan(world, [release], innocent, references=references, wrong_key_control=True, alpha=SURE)
    )
    assert cleared.conclusion == "no_evidence"
    assert cleared.rows.get().result["levels"]["features"]["controls"][0]["kind"] == "wrong key"
    _check_page_and_json(world, found, sign_in)
    _check_report(world, found)
    _check_other_tests(world, found, sign_in)


def _check_other_tests(world, audit, sign_in):
    """They stand on the page, in JSON and report with what each is worth, and say the same as ours of a guilty one."""
    verdicts = audit.rows.get().result["verifiers"]
    tests = ["sequential rank test", "views within blocks, t-test", "views within blocks, Wilcoxon"]
    assert [(one["level"], one["verifier"]) for one in verdicts] == [
        (level, test) for level in LEVELS for test in tests
    ]
    assert all(one["nominal_p"] < 0.05 for one in verdicts[:3])
    assert {one["samples"] for one in verdicts} == {BLOCKS * BLOCK}
    assert as_json(audit, world.auditor)["releases"][0]["result"]["verifiers"] == verdicts
    page = sign_in(world.auditor).get(reverse("audit_detail", args=[audit.pk])).content.decode()
    assert page.count("Sequential rank test: A bound, not an exact error rate") == 1
    assert "No error rate for blocks of more than two" in page
    assert "The tests count images" not in page
    report = Report.objects.get(audit=audit)
    with report.json.open("rb") as stream:
        facts = ReportFacts.from_json(stream.read())
    assert [(one.test, one.worth[:7]) for one in facts.other_tests[:2]] == [
        (tests[0], "A bound"),
        (tests[1], "An appr"),
    ]
    with report.pdf.open("rb") as stream:
        text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(stream.read())).pages)
    assert "Sequential rank test: A bound" in " ".join(text.split())


def _check_report(world, audit):
    """The PDF and its facts speak of images at home, and of no pattern, assignment or probe."""
    report = issuing.issue(audit, by=world.legal)
    report.refresh_from_db()
    assert report.state == Report.State.ISSUED, report.job.reason
    with report.json.open("rb") as stream:
        facts = ReportFacts.from_json(stream.read())
    assert (facts.plan.test, facts.plan.views) == ("choice", 6)
    assert (facts.releases[0].blocks, facts.releases[0].alternatives) == (BLOCKS, BLOCKS * BLOCK)
    assert {(one.level, one.score) for one in facts.memberships} == {
        ("features", "density"),
        ("soft", "density"),
        ("soft", "confidence"),
        ("hard", "density"),
    }
    with report.pdf.open("rb") as stream:
        pages = PdfReader(io.BytesIO(stream.read())).pages
        text = " ".join(" ".join(page.extract_text().replace("\u200b", "").split()) for page in pages)
    assert "one that stayed home" in text
    assert "Views of images that stayed home and others 6 of every image" in text
    assert "30 blocks, in each of which the key chose the image that stayed home" in text
    assert "file of blocks" in text.lower()
    assert "Stayed home one of each of 30 blocks" in text
    assert "Images marked 0" not in text
    assert "assignment" not in text.lower().replace("assignments", "")
    assert ".png" not in text


@pytest.mark.django_db(transaction=True)
def test_a_choice_is_combined_with_a_struck_set_of_the_same_release(world, sign_in):
    """Beside marks that nobody struck, so that the choice alone is found."""
    with known_keys(6):
        marks = MarkSettings(groups=CLASSES, share=0.02, side=0.25, opacity=1.0)
        release = withheld_release(world, make_version(world, per_class=60), "North", marks)
    suspect = register(world, "suspect", remembering(pixels_below(release.folder / "files"), seed=1))
    audit = run(world, locked_plan(world, [release], suspect, probes=12, group_images=4, permutations=1000))
    result = audit.rows.get().result
    struck, choice = result["sets"]
    assert (result["test"], choice["test"], choice["set"], choice["family"]) == ("combined", "choice", 2, "withheld")
    level = result["levels"]["features"]
    wanted = combine([one["levels"]["features"]["p_without"] for one in (struck, choice)], [720, None]).p
    assert level["p_without"] == wanted
    assert choice["levels"]["features"]["p"] < 1e-4
    assert audit.conclusion == "evidence"
    address = reverse("audit_detail", args=[audit.pk])
    page = sign_in(world.auditor).get(address, {"set": "2"}).content.decode()
    assert "Published images and those that stayed home" in page
    assert "images that stayed home" in page
    _check_passes(audit, choice)
    report = issuing.issue(audit, by=world.legal)
    report.refresh_from_db()
    assert report.state == Report.State.ISSUED, report.job.reason
    with report.json.open("rb") as stream:
        facts = ReportFacts.from_json(stream.read())
    assert [row.test for row in facts.result.rows if row.level == "features"] == ["combined", "permutation", "choice"]
    report.audit.plan.frozen |= {"looks": 2, "looks_rule": "2 looks"}
    assert collect(report, timezone.now()).plan.looks_rule == "2 looks"


def _check_passes(audit, choice):
    """Probes clean and under six patterns, up to four images of each group, and all views."""
    views = choice["alternatives"] * 6
    assert 12 * 7 + 6 * 3 <= audit.facts["forward_passes"] - views <= 12 * 7 + 6 * 4
    assert choice["alternatives"] == choice["blocks"] * BLOCK


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
    audit = run(world, locked_plan(world, copies, suspect, alpha=SURE))
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
    plan = locked_plan(world, [release], suspect, membership_score="omnibus", level="soft")
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


@pytest.mark.django_db(transaction=True)
def test_a_run_with_looks_ends_early_for_a_guilty_model(world):
    with known_keys(7):
        release = withheld_release(world, make_version(world, per_class=100))
    suspect = register(world, "suspect", remembering(pixels_below(release.folder / "files"), seed=1))
    plan = locked_plan(world, [release], suspect, looks=3, views=4)
    assert "3 looks" in plan.frozen["stopping_rule"]
    audit = run(world, plan)
    row = audit.rows.get()
    test = row.found.levels["features"].without
    assert (test.looks, test.looked, test.blocks) == (3, 1, 50)
    assert row.result["blocks"] == 50
    assert audit.conclusion == "evidence"
    assert audit.facts["forward_passes"] == 256 * 4  # whole portions, of 600 images in all
