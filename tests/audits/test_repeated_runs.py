"""Every run of one suspect against one release counts in the correction of the others, whatever became of it."""

from __future__ import annotations

import importlib
import json

import pytest
from django.apps import apps
from django.core.management import call_command
from django.urls import reverse

from audits.models import Audit, Plan
from audits.services.plans.drafting import save_draft
from audits.services.plans.forecasts import forecast
from audits.services.plans.locking import lock
from audits.services.plans.values import PlanError, values_of
from audits.services.results.as_json import as_json
from audits.services.runs import queueing
from provenance.models import DatasetGrant, Job, LogEntry
from provenance.services.jobs import queue, worker
from tests.audits.builders_plans import as_form, changed, connected, plan_values
from tests.audits.builders_reports import model
from tests.audits.builders_verdicts import Bench

pytestmark = [pytest.mark.django_db, pytest.mark.long]

STRONG = {("Northgate", "features"): 0.2}


@pytest.fixture
def bench(world) -> Bench:
    return Bench(world)


def again(bench: Bench, **fields):
    """The row of a further run against the first release."""
    return bench.stored(bench.queued(bench.plan(bench.releases[0], **fields)), STRONG).rows.get()


@pytest.mark.parametrize("state", ["cancelled", "failed"])
def test_a_run_that_ended_after_its_first_question_counts_as_if_it_had_found_nothing(bench, state):
    """Also where it was cancelled, taken up again and left to fail, which once made it count no more."""
    bench.ended(bench.queued(bench.plan(bench.releases[0])), state, asked=True)
    row = again(bench)
    assert (row.result["tests"], row.p_corrected) == (2, pytest.approx(2 / 720))


@pytest.mark.parametrize("state", ["cancelled", "failed"])
def test_a_run_that_ended_before_it_asked_anything_costs_nothing(bench, state):
    bench.ended(bench.queued(bench.plan(bench.releases[0])), state)
    assert again(bench).result["tests"] == 1


def test_one_that_is_taken_up_again_may_still_ask(bench):
    audit = bench.queued(bench.plan(bench.releases[0]))
    bench.ended(audit, "failed")
    Job.objects.filter(pk=audit.job_id).update(state=Job.State.QUEUED)
    assert again(bench).result["tests"] == 2


def test_two_runs_at_the_same_time_count_each_other_whichever_ends_first(bench):
    north = bench.releases[0]
    first, second = (bench.queued(bench.plan(north)) for _ in range(2))
    for audit in (second, first):
        row = bench.stored(audit, STRONG).rows.get()
        assert row.result["tests"] == 2
        assert row.p_corrected == pytest.approx(2 / 720)
        assert "Not corrected" not in row.result["levels"]["features"]["corrected"]["reason"]


def test_the_reason_stays_true_when_a_further_run_is_made(bench):
    alone = again(bench).result["levels"]["features"]["corrected"]["reason"]
    assert alone.startswith("Not corrected: when this result was stored, it was the only primary test")
    both = again(bench).result["levels"]["features"]["corrected"]["reason"]
    assert "2 primary tests of this suspect (2 runs), all that there were when this result was stored" in both


def elsewhere(bench: Bench, **fields) -> Plan:
    """A plan of another organisation, which audits the same weights against the first release."""
    world = bench.world
    suspect = model(world.laboratory, world.guest_auditor, "suspect-1")
    DatasetGrant.objects.create(
        dataset=bench.version.dataset, auditor=world.guest_auditor, granted_by=world.rights_holder
    )
    return bench.plan(
        bench.releases[0], organisation=world.laboratory, created_by=world.guest_auditor, suspect=suspect, **fields
    )


@pytest.mark.parametrize("strength", [0.0, 0.2])
def test_another_organisations_p_cannot_be_worked_out_from_a_corrected_value(bench, strength):
    """With its p in Holm's steps, what it found would show in ours; so it counts with p = 1, whatever it found."""
    theirs = bench.stored(bench.queued(elsewhere(bench)), {("Northgate", "features"): strength})
    mine = bench.stored(bench.queued(bench.plan(bench.releases[0])), {("Northgate", "features"): 0.01})
    row = mine.rows.get()
    assert 1 / 720 < row.p < 0.5
    assert row.p_corrected == pytest.approx(2 * row.p)
    assert row.result["tests"] == 2
    assert theirs.rows.get().result["tests"] == 1
    # Our own p-values enter as they are.
    third = bench.stored(bench.queued(bench.plan(bench.releases[0])), STRONG).rows.get()
    assert third.p_corrected == pytest.approx(3 / 720)


def test_the_page_shows_runs_before_and_after_and_only_counts_those_of_others(bench, world, sign_in):
    first = again(bench).audit
    theirs = bench.stored(bench.queued(elsewhere(bench)))
    last = bench.queued(bench.plan(bench.releases[0]))
    page = sign_in(world.auditor).get(reverse("audit_detail", args=[first.pk])).content.decode()
    assert "After this run" in page
    assert "Before this run" not in page
    assert last.plan.name in page
    assert "This run is closed: no further one but an exploratory one may follow it" in page
    guest = sign_in(world.guest_auditor).get(reverse("audit_detail", args=[theirs.pk])).content.decode()
    assert "1 earlier and 1 later runs of another organisation" in guest
    assert last.plan.name not in guest
    assert "How they ended is not shown" in guest
    told = json.loads(json.dumps(as_json(theirs, world.guest_auditor)))
    assert (told["earlier_runs"], told["earlier_runs_elsewhere"]) == ([], 1)
    assert (told["later_runs"], told["later_runs_elsewhere"]) == ([], 1)
    assert as_json(first, world.auditor)["later_runs"] == [
        {"id": str(theirs.pk), "state": "done"},  # the data's owner sees it
        {"id": str(last.pk), "state": "queued"},
    ]


@pytest.fixture
def values(world):
    return plan_values(world)


def locked(world, values, **more) -> Plan:
    return lock(save_draft(changed(values, **more), by=world.auditor), by=world.auditor)


def test_a_closed_run_is_the_only_one(world, values):
    """It may spend all of alpha: whatever gave evidence after it would spend more."""
    waiting = locked(world, values, name="Locked before")
    queueing.queue(locked(world, values), by=world.auditor)
    for more in ({"series_is_open": True}, {}):
        again = changed(values, name="Two", **more)
        draft = save_draft(again, by=world.auditor)
        with pytest.raises(PlanError, match=r"A closed run of this suspect.*Choose “Exploratory”"):
            lock(draft, by=world.auditor)
        assert "A closed run of this suspect" in forecast(again).refusal
    with pytest.raises(PlanError, match=r"A closed run.*This plan is locked, so draft a new one"):
        queueing.queue(waiting, by=world.auditor)
    look = changed(values, name="Three", exploratory=True)
    assert forecast(look).refusal == ""
    assert locked(world, look).is_locked


def test_a_closed_plan_beside_an_open_series_is_refused_and_told_what_to_do(world, values, sign_in, capsys):
    queueing.queue(locked(world, values, series_is_open=True), by=world.auditor)
    draft = save_draft(changed(values, name="Two"), by=world.auditor)
    client = sign_in(world.auditor)
    page = client.post(reverse("plan_lock", args=[draft.pk]), follow=True).content.decode()
    assert "Choose “More runs may follow, as many as it takes”" in page
    assert not Plan.objects.get(pk=draft.pk).is_locked
    live = client.get(reverse("plan_forecast"), as_form(values))
    assert "in an open series" in live.content.decode()
    call_command("plan_audit", "--as", "adam", "--dataset", "Meadows", "--suspect", "suspect-1", "--probes", "100",
                 "--json")  # fmt: skip
    assert "--series-open" in json.loads(capsys.readouterr().out)["warnings"][0]


def test_a_plan_that_was_locked_before_the_other_kind_was_run_is_not_run(world, values):
    closed, opened = (locked(world, values, name=str(kind), series_is_open=kind) for kind in (False, True))
    queueing.queue(opened, by=world.auditor)
    with pytest.raises(PlanError, match=r"in an open series.*This plan is locked, so draft a new one"):
        queueing.queue(closed, by=world.auditor)
    assert closed.audits.count() == 0


def test_a_run_that_never_asked_is_not_taken_up_again_beside_a_series_of_the_other_kind(world, values):
    closed, opened = (locked(world, values, name=str(kind), series_is_open=kind) for kind in (False, True))
    audit = queueing.queue(closed, by=world.auditor)
    queue.cancel(audit.job, by=world.auditor)
    queueing.queue(opened, by=world.auditor)
    queue.retry(audit.job, by=world.auditor)
    worker.run(str(audit.job_id))
    audit = Audit.objects.select_related("job").get(pk=audit.pk)
    assert (audit.state, audit.asked_at) == ("failed", None)
    assert "in an open series" in audit.job.reason


def test_a_lock_logs_how_many_runs_count_by_then(bench, world):
    again(bench)
    bench.queued(bench.plan())
    bench.ended(bench.queued(bench.plan()), "failed")
    connected(bench.suspect)
    more = {"probes": 100, "group_images": 10, "exploratory": True}
    draft = save_draft(changed(values_of(bench.plan()), **more), by=world.auditor)
    plan = lock(draft, by=world.auditor)
    assert LogEntry.objects.get(verb="plan.locked", subject_id=str(plan.pk)).details == {"earlier runs": 2}


def test_runs_from_before_first_questions_were_noted_count_as_they_did(bench):
    north = bench.releases[0]
    undone = bench.stored(bench.queued(bench.plan(north)))
    Audit.objects.filter(pk=undone.pk).update(state="failed")
    cancelled, waiting, asked, refused = (bench.queued(bench.plan(north)) for _ in range(4))
    bench.ended(cancelled, "cancelled")
    bench.ended(waiting, "cancelled")
    Job.objects.filter(pk=waiting.job_id).update(attempt=0)
    bench.ended(asked, "failed")
    Job.objects.filter(pk=asked.job_id).update(progress_done=10)
    bench.ended(refused, "failed")
    importlib.import_module("audits.migrations.0010_first_questions").note_what_was_asked(apps, None)
    noted = set(Audit.objects.filter(asked_at__isnull=False).values_list("pk", flat=True))
    assert noted == {undone.pk, cancelled.pk, asked.pk}
    assert Audit.objects.get(pk=undone.pk).state == "done"
    assert again(bench).result["tests"] == 4
