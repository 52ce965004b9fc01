"""Ways round the rules about shopping for a key: each is closed, and is told what to do instead."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.utils import timezone

from audits.models import Audit, Plan, RegisteredModel
from audits.services.plans.drafting import save_draft
from audits.services.plans.forecasts import forecast
from audits.services.plans.locking import lock
from audits.services.plans.values import PlanError
from audits.services.runs import queueing
from provenance.models import DatasetGrant, Release, WatermarkKey
from provenance.services.jobs import queue, worker
from tests.audits.builders_plans import changed, connected, first_seen_now, plan_values
from tests.audits.builders_reports import model, release

pytestmark = pytest.mark.django_db


@pytest.fixture
def values(world):
    """Three copies, all made before the suspect is seen."""
    values = plan_values(world)
    for recipient in ("Southbank", "Westhaven"):
        release(world, values.version, recipient)
    first_seen_now(values.suspect)
    return values


def locked(world, values, **more) -> Plan:
    return lock(save_draft(changed(values, **more), by=world.auditor), by=world.auditor)


def asked(audit: Audit) -> None:
    Audit.objects.filter(pk=audit.pk).update(state=Audit.State.FAILED, asked_at=timezone.now())
    audit.job.state = "failed"
    audit.job.save()


def test_of_many_cancelled_closed_runs_none_is_taken_up_again_after_a_look(world, values):
    every = list(Release.objects.select_related("key").order_by("recipient"))
    waiting = []
    for level in ("features", "soft"):
        for one in every:
            more = {"name": f"{one} {level}", "level": level, "releases": [one], "recipient_at_issue": True}
            waiting.append(queueing.queue(locked(world, values, **more), by=world.auditor))
            queue.cancel(waiting[-1].job, by=world.auditor)
    asked(queueing.queue(locked(world, values, name="A look", releases=every, exploratory=True), by=world.auditor))
    queue.retry(waiting[3].job, by=world.auditor)
    worker.run(str(waiting[3].job_id))
    audit = Audit.objects.select_related("job").get(pk=waiting[3].pk)
    assert (audit.state, audit.asked_at) == ("failed", None)
    assert "taken up again after one" in audit.job.reason
    assert "--series-open" in audit.job.reason


def test_asking_a_suspect_as_a_reference_of_another_is_a_look(world, values):
    """References are tested themselves: their p-values against every copy stand on the page."""
    twin = connected(model(world.owner, world.auditor, "twin", role="reference"))
    decoy = connected(model(world.owner, world.auditor, "decoy"))
    every = list(Release.objects.select_related("key").order_by("recipient"))
    more = {"suspect": decoy, "releases": every, "references": [twin], "decide_with_references": False}
    look = queueing.queue(locked(world, values, name="A look", **more), by=world.auditor)
    RegisteredModel.objects.filter(pk=values.suspect.pk).update(sha256=twin.sha256)
    values.suspect.refresh_from_db()
    at_issue = changed(values, name="Two", recipient_at_issue=True)
    for _ in ("it may ask", "it has asked"):
        with pytest.raises(PlanError, match=r"reference of another suspect's run.*--series-open"):
            locked(world, at_issue)
        asked(look)
    opened = changed(at_issue, series_is_open=True)
    # Three p-values of each of three copies at three levels come before.
    assert forecast(opened).factor == (27 + 1) * (27 + 3 + 1)
    assert locked(world, opened).is_locked


def test_a_key_that_is_given_up_once_the_suspect_is_there_counts(world, values):
    keys = WatermarkKey.objects.exclude(release__recipient="Northgate")
    keys.update(state="dropped", dropped_at=timezone.now())
    assert forecast(values).copies.untested == 2
    keys.update(dropped_at=values.suspect.created_at - timedelta(seconds=1))
    assert forecast(values).copies.untested == 0


def test_a_publication_that_the_datas_owner_declared_counts_for_a_plan_of_another_organisation(world, values):
    DatasetGrant.objects.create(
        dataset=values.version.dataset, auditor=world.guest_auditor, granted_by=world.rights_holder
    )
    theirs = connected(model(world.laboratory, world.guest_auditor, "suspect-1"))  # the same weights
    draft = save_draft(changed(values, suspect=theirs), by=world.guest_auditor)
    RegisteredModel.objects.filter(pk=values.suspect.pk).update(published_on=date(2020, 2, 3))
    with pytest.raises(PlanError, match="after this suspect was first seen"):
        lock(draft, by=world.guest_auditor)


def test_a_model_that_was_tested_before_identities_were_taken_is_tested_anew_before_a_lock(world, values):
    RegisteredModel.objects.filter(pk=values.suspect.pk).update(identity={})
    values.suspect.refresh_from_db()
    with pytest.raises(PlanError, match="connection test of suspect-1"):
        locked(world, values)
