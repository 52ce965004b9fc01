"""Plans: drafted, forecast, locked once and for all, and refused with a sentence where they make no sense."""

import pytest
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from audits.models import Plan
from audits.services.plans.drafting import save_draft
from audits.services.plans.forecasts import forecast
from audits.services.plans.frozen import digest_of, frozen_text
from audits.services.plans.locking import lock
from audits.services.plans.values import PlanError, values_of
from audits.services.results.verdicts import rules_of
from audits.services.runs import queueing
from provenance.models import DatasetGrant, LogEntry
from tests.audits.builders_plans import as_form, changed, plan_values
from tests.audits.builders_reports import finished_audit, model, release, version

pytestmark = pytest.mark.django_db


@pytest.fixture
def values(world):
    return plan_values(world)


def test_a_forecast_counts_every_question(values):
    ahead = forecast(values)
    # Clean and six patterns on 100 probes, six groups of 10 images, and six patterns of the wrong key.
    assert ahead.suspect_passes == 7 * 100 + 60 + 600 == ahead.passes
    assert 13.6 < ahead.seconds < 60
    assert ahead.smallest_p == pytest.approx(1 / 720)
    assert ahead.reaches_alpha
    assert forecast(changed(values, wrong_key_control=False)).passes == 760


def test_references_are_asked_too_and_need_a_connection_test_for_an_estimate(world, values):
    reference = model(world.owner, world.auditor, "reference-1", "reference")
    ahead = forecast(changed(values, references=[reference]))
    assert ahead.passes == 1360 + 760
    assert ahead.seconds is None
    assert "connection test of reference-1" in " ".join(ahead.warnings)


def test_a_plan_that_cannot_reach_alpha_says_so(values):
    ahead = forecast(changed(values, alpha=0.001))
    assert not ahead.reaches_alpha
    assert "cannot reach alpha" in ahead.warnings[0]


def test_a_plan_that_is_no_evidence_is_not_said_to_reach_alpha_alone(world, values, sign_in):
    for exploratory, said, other in (
        (False, "Can reach alpha", "Can give evidence"),
        (True, "Can give evidence", "Can reach alpha"),
    ):
        plan = save_draft(changed(values, exploratory=exploratory), by=world.auditor)
        page = sign_in(world.auditor).get(reverse("plan_detail", args=[plan.pk])).content.decode()
        assert said in page
        assert other not in page
        assert ("An exploratory run never does. Its p can reach alpha." in page) is exploratory


def test_earlier_results_of_the_same_weights_count(world):
    plan = finished_audit(world).plan
    ahead = forecast(values_of(plan))
    assert ahead.tests == 2
    assert ahead.smallest_corrected_p == pytest.approx(2 / 720)


def test_a_locked_plan_is_frozen_and_logged(world, values):
    plan = lock(save_draft(values, by=world.auditor), by=world.auditor)
    assert plan.is_locked
    assert plan.digest == digest_of(plan.frozen)
    assert plan.frozen["releases"][0]["commitment"] == plan.releases.get().key.commitment
    entry = LogEntry.objects.get(verb="plan.locked", subject_id=str(plan.pk))
    assert entry.digests["plan"] == plan.digest
    with pytest.raises(PlanError, match="locked"):
        save_draft(changed(values, probes=200), by=world.auditor, plan=plan)
    with pytest.raises(PlanError, match="locked already"):
        lock(plan, by=world.auditor)


def test_the_digest_changes_with_everything_that_decides(world, values):
    draft = save_draft(values, by=world.auditor)
    texts = [frozen_text(draft, values)]
    for more in ({"probes": 101}, {"alpha": 0.02}, {"level": "soft"}, {"permutations": 2000}, {"group_images": 11}):
        texts.append(frozen_text(draft, changed(values, **more)))
    assert len({digest_of(text) for text in texts}) == len(texts)


def test_only_a_locked_plan_can_be_queued_and_only_once(world, values):
    plan = save_draft(values, by=world.auditor)
    with pytest.raises(PlanError, match="Lock the plan first"):
        queueing.queue(plan, by=world.auditor)
    lock(plan, by=world.auditor)
    audit = queueing.queue(plan, by=world.auditor)
    assert audit.job.kind == "audit.run"
    with pytest.raises(PlanError, match="waiting or running"):
        queueing.queue(plan, by=world.auditor)


def test_every_run_draws_a_nonce_once_and_logs_it(world, values):
    """Permutations follow from it and the plan, so locking many plans tells nobody which one to run."""
    runs = []
    for _ in range(2):
        plan = lock(save_draft(changed(values, series_is_open=True), by=world.auditor), by=world.auditor)
        assert "the nonce drawn when the run is queued" in plan.frozen["permutation_seed"]
        runs.append(queueing.queue(plan, by=world.auditor))
    assert {len(bytes.fromhex(run.nonce)) for run in runs} == {32}
    assert len({run.nonce for run in runs}) == 2
    for run in runs:
        queued = LogEntry.objects.filter(verb="audit.queued", subject_id=str(run.pk)).get()
        assert queued.digests["nonce"] == run.nonce
        assert rules_of(run.plan, run.nonce).nonce == run.nonce


def test_an_untested_suspect_cannot_be_locked(world, values):
    values.suspect.connection = {}
    values.suspect.save()
    with pytest.raises(PlanError, match="connection test of suspect-1"):
        lock(save_draft(values, by=world.auditor), by=world.auditor)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"releases": []}, "at least one release"),
        ({"permutations": 10}, "permutations"),
        ({"alpha": 0.5}, "Alpha"),
        ({"probes": 5}, "10 probes"),
        ({"probes": 5000}, "Only 540 images are unmarked"),
        ({"decide_with_references": True}, "choose some"),
    ],
)
def test_contradictions_are_refused(world, values, more, sentence):
    with pytest.raises(PlanError, match=sentence):
        save_draft(changed(values, **more), by=world.auditor)


def test_models_must_fit_their_part(world, values):
    reference = model(world.owner, world.auditor, "reference-1", "reference")
    with pytest.raises(PlanError, match="registered as a reference"):
        save_draft(changed(values, suspect=reference), by=world.auditor)
    other = model(world.owner, world.auditor, "suspect-2")
    with pytest.raises(PlanError, match="not declared as a reference"):
        save_draft(changed(values, references=[other]), by=world.auditor)
    reference.sha256 = values.suspect.sha256
    with pytest.raises(PlanError, match="same weights"):
        save_draft(changed(values, references=[reference]), by=world.auditor)
    values.suspect.spec["returns"] = ["features"]
    with pytest.raises(PlanError, match="does not return soft labels"):
        save_draft(changed(values, level="soft"), by=world.auditor)


def test_only_auditors_with_a_grant_may_plan(world, values):
    with pytest.raises(PermissionDenied):
        save_draft(values, by=world.rights_holder)
    theirs = model(world.laboratory, world.guest_auditor, "their suspect")
    with pytest.raises(PermissionDenied):
        save_draft(changed(values, suspect=theirs), by=world.guest_auditor)
    DatasetGrant.objects.create(
        dataset=values.version.dataset, auditor=world.guest_auditor, granted_by=world.rights_holder
    )
    plan = save_draft(changed(values, suspect=theirs), by=world.guest_auditor)
    assert plan.organisation == world.laboratory
    assert plan not in Plan.objects.for_user(world.rights_holder)  # drafts are the auditor's own


# -- pages -------------------------------------------------------------------------------------------------------
def test_an_auditor_plans_locks_and_is_asked_to_run(world, values, sign_in):
    browser = sign_in(world.auditor)
    response = browser.post(reverse("plan_new"), as_form(values))
    plan = Plan.objects.get()
    assert response["Location"] == reverse("plan_detail", args=[plan.pk])
    assert plan.name == f"suspect-1 against Meadows, version 1, for {plan.releases.get().recipient}"
    assert b"Lock the plan" in browser.get(response["Location"]).content
    browser.post(reverse("plan_lock", args=[plan.pk]))
    page = browser.get(reverse("plan_detail", args=[plan.pk])).content.decode()
    plan.refresh_from_db()
    assert plan.is_locked
    assert plan.digest in page
    assert "Run the audit" in page
    assert browser.get(reverse("plan_json", args=[plan.pk])).json()["digest"] == plan.digest


def test_the_forecast_moves_with_the_form(world, values, sign_in):
    browser = sign_in(world.auditor)
    page = browser.get(reverse("plan_forecast"), as_form(values)).content.decode()
    assert "1,360 forward passes" in page
    assert "0.0014" in page
    page = browser.get(reverse("plan_forecast"), as_form(values, alpha=0.0001)).content.decode()
    assert "cannot reach alpha" in page
    page = browser.get(reverse("plan_forecast"), as_form(values, releases=[])).content.decode()
    assert "once the form is complete" in page


def test_a_wrong_form_comes_back_with_a_sentence(world, values, sign_in):
    response = sign_in(world.auditor).post(reverse("plan_new"), as_form(values, probes=5000))
    assert response.status_code == 422
    assert "Only 540 images are unmarked" in response.content.decode()


def test_releases_follow_the_chosen_version(world, values, sign_in):
    other = version(world, "Harbours")
    release(world, other, "Westhaven")
    browser = sign_in(world.auditor)
    page = browser.get(reverse("plan_new"), {"version": str(other.pk)}, headers={"HX-Request": "true"}).content.decode()
    assert "Westhaven" in page
    assert "Northgate" not in page
    assert "<html" not in page
