"""A whole audit through services, job and sandbox, on tiny networks: found, cleared, killed and resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from audits.models import Audit
from audits.services.plans.forecasts import forecast
from audits.services.plans.series import OtherRuns, other_runs
from audits.services.plans.values import values_of
from audits.services.results.as_json import as_json
from audits.services.runs import queueing
from provenance.models import LogEntry
from provenance.services.jobs import queue
from tests.audits.builders_runs import (
    blocks_are_answered,
    confined_child_killed_when,
    locked_plan,
    make_releases,
    make_version,
    register,
    train,
    untrained,
)
from tests.known_keys import known_keys

pytestmark = [pytest.mark.suspect, pytest.mark.django_db(transaction=True)]


def ended(audit: Audit) -> Audit:
    return Audit.objects.select_related("job", "plan").get(pk=audit.pk)


def test_whose_copy_leaked(world):
    """Two copies, one suspect trained on the first, a clean reference: the first is found and the second is not."""
    with known_keys(1):
        north, south = make_releases(world, make_version(world), "North", "South")
    suspect = register(world, "suspect", train(north.folder / "files", seed=1))
    reference = register(world, "reference", untrained(seed=2), "reference")
    plan = locked_plan(world, [north, south], suspect, references=[reference])
    ahead = forecast(values_of(plan)).passes
    audit = ended(queueing.queue(plan, by=world.auditor))

    assert (audit.state, audit.job.reason) == ("done", "")
    found, other = audit.rows.get(release=north), audit.rows.get(release=south)
    assert found.p_corrected == pytest.approx(2 * found.p)
    assert found.p <= 0.005
    assert found.smallest_p == pytest.approx(1 / 720)
    assert other.p > 0.05
    by_chance = found.result["levels"]["soft"]["controls"][0]["p"] <= 0.01  # one wrong key in a hundred
    assert audit.conclusion == ("inconclusive" if by_chance else "evidence")
    assert "“North”" in audit.sentence
    for row in (found, other):
        assert set(row.result["levels"]) == {"features", "soft", "hard"}
        kinds = [control["kind"] for control in row.result["levels"]["soft"]["controls"]]
        assert kinds == ["wrong key", "reference", "reference"]

    # What was forecast was asked, but for groups that have fewer unmarked images left than the plan would take.
    assert ahead - 2 * 2 * 6 * 8 < audit.facts["forward_passes"] <= ahead
    assert not (audit.folder / "images").exists()
    verbs = LogEntry.objects.about(plan, audit).values_list("verb", flat=True)
    assert list(verbs) == ["plan.locked", "audit.queued", "audit.started", "audit.finished"]
    started = LogEntry.objects.get(verb="audit.started")
    assert set(started.digests) == {"plan", "probes 1", "probes 2"}
    assert started.digests["probes 1"] == found.result["probes_digest"]
    assert len(as_json(audit, world.auditor)["releases"]) == 2

    # A second plan against the same pair can only be a look, and is corrected for the first one's results.
    again = ended(queueing.queue(locked_plan(world, [north], suspect, probes=30, exploratory=True), by=world.auditor))
    assert again.rows.get().result["tests"] == 3
    assert again.conclusion.startswith("exploratory") or again.conclusion == "inconclusive"
    assert other_runs(again) == OtherRuns(earlier=(audit,), later=())


def answered_images(folder: Path) -> int:
    """By the notes of all blocks whose answers are kept."""
    return sum(int(note.read_text()) for note in folder.rglob("*.done"))


def test_a_killed_run_fails_with_a_reason_and_resumes_where_it_was(world, settings):
    (release,) = make_releases(world, make_version(world, per_class=160), "North")
    # Clean probes, groups, and 7 blocks in which the patterns of both keys are shuffled.
    plan = locked_plan(world, [release], register(world, "suspect", untrained(seed=3)), probes=140)
    with confined_child_killed_when(blocks_are_answered(settings.FILES_DIR / "audits", 3)):
        audit = ended(queueing.queue(plan, by=world.auditor))

    assert audit.state == "failed"
    first_question, nonce = audit.asked_at, audit.nonce
    assert len(bytes.fromhex(nonce)) == 32
    assert audit.created_at < first_question < audit.finished_at
    assert "ended from outside" in audit.job.reason
    assert LogEntry.objects.filter(verb="audit.failed", subject_id=str(audit.pk)).exists()
    assert not audit.rows.exists()
    answered = answered_images(audit.folder)
    assert 140 < answered < 13 * 140

    queue.retry(audit.job, by=world.auditor)
    audit = ended(audit)
    assert (audit.state, audit.job.reason, audit.job.attempt) == ("done", "", 2)
    assert (audit.asked_at, audit.nonce) == (first_question, nonce)
    assert audit.rows.get().result["nonce"] == nonce
    assert audit.rows.get().conclusion in ("no_evidence", "inconclusive", "evidence")
    assert len(list(audit.folder.rglob("*.done"))) == 2 + 6 + 6
    assert audit.facts["answered_before"] == answered  # and not asked again


def test_an_altered_plan_is_not_run(world):
    (release,) = make_releases(world, make_version(world), "North")
    suspect = register(world, "suspect", untrained(seed=4))
    plan = locked_plan(world, [release], suspect)
    suspect.spec["mean"] = [0.4, 0.4, 0.4]
    suspect.save()
    audit = ended(queueing.queue(plan, by=world.auditor))
    assert audit.state == "failed"
    assert audit.asked_at is None
    assert "described anew after this plan was locked" in audit.job.reason


def test_changed_weights_are_not_asked(world):
    (release,) = make_releases(world, make_version(world), "North")
    suspect = register(world, "suspect", untrained(seed=5))
    plan = locked_plan(world, [release], suspect)
    with open(suspect.weights.path, "ab") as stream:  # noqa: PTH123
        stream.write(b"\0")
    audit = ended(queueing.queue(plan, by=world.auditor))
    assert audit.state == "failed"
    assert audit.asked_at is None
    assert "not those that were registered" in audit.job.reason


def test_planned_and_run_headless(world, capsys):
    import json

    from django.core.management import call_command

    make_releases(world, make_version(world), "North")
    register(world, "suspect", untrained(seed=6))
    call_command("plan_audit", "--as", "adam", "--dataset", "Woods", "--suspect", "suspect", "--probes", "20",
                 "--group-images", "5", "--lock", "--json")  # fmt: skip
    plan = json.loads(capsys.readouterr().out)
    assert plan["state"] == "locked"
    assert plan["smallest_p"] == pytest.approx(1 / 720)
    call_command("run_audit", "--as", "adam", "--plan", plan["plan"], "--wait", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert answer["state"] == "done"
    assert 0 < answer["releases"][0]["p"] <= 1
    with pytest.raises(SystemExit) as refused:
        call_command("run_audit", "--as", "adam", "--plan", plan["plan"], "--json")
    assert refused.value.code == 1
    assert "has been run" in json.loads(capsys.readouterr().out)["error"]
