"""A key that was committed to after the suspect was first seen can give no evidence, and every copy counts."""

from __future__ import annotations

import json
from datetime import date, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from audits.models import Audit, Plan, RegisteredModel
from audits.services.models.sightings import first_sight
from audits.services.plans.drafting import save_draft
from audits.services.plans.forecasts import forecast
from audits.services.plans.locking import check_unchanged, lock
from audits.services.plans.values import PlanError
from audits.services.results.as_json import as_json
from audits.services.results.keys import keys_of
from audits.services.runs import queueing
from provenance.models import Overlap, Release, WatermarkKey
from provenance.services.jobs import queue as jobs
from tests.audits.builders_plans import as_form, changed, connected, plan_values
from tests.audits.builders_reports import model, release, version
from tests.audits.builders_verdicts import Bench

pytestmark = [pytest.mark.django_db, pytest.mark.long]

STRONG = {("Northgate", "features"): 0.2}


@pytest.fixture
def values(world):
    return plan_values(world)


def late(world, values, recipient: str = "Latecomer") -> Release:
    """A release whose key is committed to now, when the suspect is there already."""
    return release(world, values.version, recipient)


def locked(world, values, **more) -> Plan:
    return lock(save_draft(changed(values, **more), by=world.auditor), by=world.auditor)


# -- first sight -------------------------------------------------------------------------------------------------
def test_the_first_registration_of_the_same_weights_counts_whoever_made_it(world, values):
    suspect = values.suspect
    assert first_sight(suspect, world.owner) == suspect.created_at
    theirs = model(world.elsewhere, world.outsider, suspect.name)  # the same weights
    RegisteredModel.objects.filter(pk=theirs.pk).update(created_at=timezone.now() - timedelta(days=9))
    theirs.refresh_from_db()
    assert first_sight(suspect, world.owner) == theirs.created_at
    other = model(world.elsewhere, world.outsider, "other weights")
    RegisteredModel.objects.filter(pk=other.pk).update(created_at=timezone.now() - timedelta(days=99))
    assert first_sight(suspect, world.owner) == theirs.created_at


def test_a_declared_publication_counts_if_its_own_organisation_declared_it(world, values):
    suspect = values.suspect
    theirs = model(world.elsewhere, world.outsider, suspect.name)
    RegisteredModel.objects.filter(pk=theirs.pk).update(published_on=date(2001, 1, 1))
    assert (
        first_sight(suspect, world.owner) == suspect.created_at
    )  # else a stranger's word could take the evidence away
    RegisteredModel.objects.filter(pk=suspect.pk).update(published_on=date(2020, 2, 3))
    suspect.refresh_from_db()
    assert first_sight(suspect, world.owner).isoformat() == "2020-02-03T00:00:00+00:00"


def test_a_late_key_is_refused_as_evidence_and_taken_as_exploratory(world, values, sign_in):
    chosen = changed(values, releases=[late(world, values)])
    draft = save_draft(chosen, by=world.auditor)
    with pytest.raises(PlanError, match=r"Latecomer was committed to after this suspect.*choose “Exploratory”"):
        lock(draft, by=world.auditor)
    live = sign_in(world.auditor).get(reverse("plan_forecast"), as_form(chosen)).content.decode()
    assert "cannot give evidence" in live
    assert "after the suspect was first seen" in live
    assert "Suspect first seen" in live
    plan = locked(world, chosen, exploratory=True)
    (commitment,) = plan.frozen["late_commitments"]
    assert commitment == chosen.releases[0].key.commitment
    assert plan.frozen["exploratory"] is True
    assert locked(world, values).frozen["late_commitments"] == []


def test_weights_that_are_registered_anew_are_no_newer(world, values):
    made = late(world, values)
    again = model(world.owner, world.auditor, "under another name")
    again.sha256 = values.suspect.sha256
    connected(again)
    with pytest.raises(PlanError, match="after this suspect was first seen"):
        locked(world, values, releases=[made], suspect=again)


def test_a_publication_that_is_declared_after_the_lock_stops_the_run(world, values):
    plan = locked(world, values)
    RegisteredModel.objects.filter(pk=values.suspect.pk).update(published_on=date(2020, 2, 3))
    with pytest.raises(PlanError, match="after this suspect was first seen"):
        queueing.queue(plan, by=world.auditor)


# -- exploratory runs --------------------------------------------------------------------------------------------
@pytest.fixture
def bench(world) -> Bench:
    return Bench(world)


@pytest.mark.parametrize(("strengths", "word"), [(STRONG, "exploratory: small p"), ({}, "exploratory: no small p")])
def test_an_exploratory_run_is_never_evidence_and_says_so_everywhere(bench, world, sign_in, strengths, word):
    plan = bench.plan(bench.releases[0], exploratory=True, locked_at=timezone.now(), locked_by=world.auditor)
    audit = bench.stored(bench.queued(plan, state="done", attempt=1), strengths)
    row = audit.rows.get()
    assert (row.p <= plan.alpha) == bool(strengths)
    assert audit.get_conclusion_display() == row.get_conclusion_display() == word
    assert audit.sentence.startswith("Exploratory, no evidence: ")
    assert row.result["exploratory"] is True
    page = sign_in(world.auditor).get(reverse("audit_detail", args=[audit.pk])).content.decode()
    assert word in page
    assert "However small p is, this run is no evidence" in page
    told = json.loads(json.dumps(as_json(audit, world.auditor)))
    assert told["exploratory"] is True
    assert told["conclusion"].startswith("exploratory_")
    listed = sign_in(world.auditor).get(reverse("audit_list"), {"conclusion": audit.conclusion}).content.decode()
    assert plan.name in listed


def test_after_a_closed_run_only_an_exploratory_one_may_follow(world, values, capsys):
    south = release(world, values.version, "Southbank")
    WatermarkKey.objects.filter(pk=south.key_id).update(committed_at=values.releases[0].key.committed_at)
    south = Release.objects.select_related("key").get(pk=south.pk)
    queueing.queue(locked(world, values), by=world.auditor)
    for more in ({}, {"series_is_open": True}, {"releases": [south]}, {"level": "hard"}):
        with pytest.raises(PlanError, match=r"closed run may spend all of alpha.*--exploratory"):
            locked(world, values, name="Two", **more)
    assert "closed run" in forecast(changed(values, name="Three")).refusal
    assert forecast(changed(values, name="Three", exploratory=True)).refusal == ""
    queueing.queue(locked(world, values, name="Look", exploratory=True), by=world.auditor)


def test_after_a_look_a_plan_may_be_open_and_not_closed(world, values):
    waiting = locked(world, values, name="Locked before the look")
    queueing.queue(locked(world, values, exploratory=True), by=world.auditor)
    with pytest.raises(PlanError, match="made after a look"):
        locked(world, values, name="Two")
    with pytest.raises(PlanError, match=r"made after a look.*draft a new one"):
        queueing.queue(waiting, by=world.auditor)
    opened = changed(values, name="Two", series_is_open=True)
    # Three levels of the look come before, and three are shown: (3 + 1) (3 + 3 + 1).
    assert (forecast(opened).tests, forecast(opened).factor) == (3, 28)
    assert locked(world, opened).is_locked


def test_a_plan_of_an_earlier_version_is_not_run_by_todays_rules(world, values):
    plan = locked(world, values)
    plan.frozen["correction"] = "Holm's method over fewer"
    from audits.services.plans.frozen import digest_of

    plan.digest = digest_of(plan.frozen)
    plan.save()
    for refused in (check_unchanged, lambda plan: queueing.queue(plan, by=world.auditor)):
        with pytest.raises(PlanError, match="locked by an earlier version"):
            refused(plan)


# -- copies of the same images -----------------------------------------------------------------------------------
def copies(world, values, *recipients: str) -> None:
    for recipient in recipients:
        made = release(world, values.version, recipient)
        WatermarkKey.objects.filter(pk=made.key_id).update(committed_at=values.releases[0].key.committed_at)


def test_every_committed_copy_counts_unless_a_recipient_is_at_issue(world, values, sign_in):
    copies(world, values, "Southbank", "Westhaven", "northgate ")
    WatermarkKey.objects.create(version=values.version, sealed=b"sealed", drawn_by=world.rights_holder)  # drawn only
    ahead = forecast(values)
    assert (ahead.copies.committed, ahead.copies.untested, ahead.tests, ahead.factor) == (4, 3, 4, 4)
    assert ahead.smallest_corrected_p == pytest.approx(4 / 720)
    live = sign_in(world.auditor).get(reverse("plan_forecast"), as_form(values)).content.decode()
    assert "4 committed, 1 tested here, 3 count untested" in live
    assert "corrected 0.0056" in live
    named = changed(values, recipient_at_issue=True)
    assert (forecast(named).copies.untested, forecast(named).factor) == (1, 2)  # the same recipient's other copy
    both = changed(values, further_primary=["soft"])
    assert forecast(both).factor == 2 + 3 * 2
    assert locked(world, values).frozen["copies"] == {"committed": 4, "tested": 1, "untested": 3, "elsewhere": 0}


def test_a_run_that_was_cancelled_before_it_asked_takes_no_copy_out_of_the_count(world, values):
    """Else whoever queues a plan about all other copies and cancels it would pay for none of them."""
    copies(world, values, "Southbank", "Westhaven")
    others = list(Release.objects.select_related("key").exclude(recipient="Northgate"))
    audit = queueing.queue(locked(world, values, name="Others", releases=others), by=world.auditor)
    jobs.cancel(audit.job, by=world.auditor)
    assert Audit.objects.get(pk=audit.pk).state == Audit.State.CANCELLED
    assert (forecast(values).copies.untested, forecast(values).refusal) == (2, "")


def test_only_one_recipient_can_be_at_issue(world, values):
    copies(world, values, "Southbank")
    every = list(Release.objects.select_related("key").order_by("recipient"))
    with pytest.raises(PlanError, match="Only one recipient can be the one at issue"):
        save_draft(changed(values, releases=every, recipient_at_issue=True), by=world.auditor)


def test_copies_of_another_dataset_with_the_same_images_count_and_are_not_named(world, bench, sign_in):
    other, foreign = version(world, "Meadows again"), version(world, "Elsewhere's")
    foreign.dataset.organisation = world.elsewhere
    foreign.dataset.save()
    for made in (other, foreign):
        one, two = sorted((bench.version, made), key=lambda each: each.pk)
        Overlap.objects.create(one=one, other=two, shared=300, smaller=600)
        release(world, made, f"Secret friend {made.pk}")
    plan = bench.plan(bench.releases[0], recipient_at_issue=False)
    audit = bench.stored(bench.queued(plan), STRONG)
    assert plan.frozen["copies"] == {"committed": 4, "tested": 1, "untested": 3, "elsewhere": 1}
    row = audit.rows.get()
    assert (row.result["tests"], row.p_corrected) == (4, pytest.approx(4 / 720))
    keys = keys_of(audit)
    assert [key.released_to for key in keys.rows] == ["Northgate", "Southbank", "a copy of another dataset"]
    assert (keys.elsewhere, keys.never_tested) == (1, 2)
    for person in (world.auditor, world.rights_holder, world.legal):
        page = sign_in(person).get(reverse("audit_detail", args=[audit.pk])).content.decode()
        assert "2 released copies of the same images were never tested against it" in page
        assert "1 more key of other organisations is not listed" in page
        assert "Secret friend" not in page
        assert "Secret friend" not in json.dumps(as_json(audit, person))


def test_a_run_against_another_copy_of_the_same_images_counts(bench):
    north, south = bench.releases
    bench.stored(bench.queued(bench.plan(north, series_is_open=True)))
    row = bench.stored(
        bench.queued(bench.plan(south, series_is_open=True)), {("Southbank", "features"): 0.2}
    ).rows.get()
    # Three levels of the first run, three of its own.
    assert row.p_corrected == pytest.approx((3 + 1) * (3 + 3 + 1) / 720)


def test_keys_stand_in_json_and_report_with_their_dates(bench, world):
    """Drawn, committed, used and never audited: each with what happened to it, and when."""
    dropped = WatermarkKey.objects.create(
        version=bench.version, sealed=b"sealed", drawn_by=world.rights_holder, state="dropped"
    )
    late_one = release(world, bench.version, "Latecomer")
    plan = bench.plan(bench.releases[0], recipient_at_issue=False, locked_at=timezone.now(), locked_by=world.auditor)
    audit = bench.stored(bench.queued(plan, state="done", attempt=1), STRONG)
    told = as_json(audit, world.auditor)["keys"]
    assert [key["state"] for key in told] == ["embedded", "embedded", "dropped", "embedded"]
    assert [key["released_to"] for key in told] == ["Northgate", "Southbank", "", "Latecomer"]
    assert [bool(key["tested_at"]) for key in told] == [True, False, False, False]
    assert [key["late"] for key in told] == [False, False, False, True]
    assert told[2]["drawn_at"] == dropped.drawn_at.isoformat()
    assert told[3]["committed_at"] == late_one.key.committed_at.isoformat()


def test_many_keys_stand_on_several_pages_and_are_counted_on_each(bench, world, sign_in):
    WatermarkKey.objects.bulk_create(
        WatermarkKey(version=bench.version, sealed=b"sealed", drawn_by=world.rights_holder, state="dropped")
        for _ in range(30)
    )
    audit = bench.stored(bench.queued(bench.plan(bench.releases[0])), STRONG)
    browser, address = sign_in(world.auditor), reverse("audit_detail", args=[audit.pk])
    pages = [browser.get(address, {"keys": number}).content.decode() for number in (1, 2)]
    keys = [page.partition('id="keys"')[2].partition("</section>")[0] for page in pages]
    assert [table.count('<th scope="row">') for table in keys] == [25, 7]
    assert all("1 released copy of the same images was never tested against it" in table for table in keys)
    assert "26–32 of 32 keys, page 2 of 2" in keys[1]


def test_the_command_declares_the_same(world, values):
    copies(world, values, "Southbank")
    out = StringIO()
    named = ["--dataset", "Meadows", "--suspect", "suspect-1", "--release", "Northgate", "--probes", "100"]
    call_command(
        "plan_audit", "--as", "adam", "--json", *named, "--exploratory", "--recipient-at-issue", "--lock", stdout=out
    )
    told = json.loads(out.getvalue())
    plan = Plan.objects.get(pk=told["plan"])
    assert (plan.exploratory, plan.recipient_at_issue) == (True, True)
    assert told["corrected_together"] == 1
