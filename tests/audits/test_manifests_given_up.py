"""A version whose manifest was given up hinders no plan any more, and counts in all corrections of its organisation."""

from __future__ import annotations

import pytest
from django.urls import reverse

from audits.services.plans.copies import copies_of
from audits.services.plans.drafting import save_draft
from audits.services.plans.forecasts import forecast
from audits.services.plans.locking import lock
from audits.services.plans.values import PlanError
from audits.services.reports.keys import keys_facts
from audits.services.results.as_json import as_json
from provenance.models import Dataset, DatasetGrant, Organisation, Role, Version
from provenance.services.lost_manifests import give_up
from tests.audits.builders_plans import as_form, changed, connected, plan_values
from tests.audits.builders_reports import model, release, version
from tests.audits.builders_verdicts import Bench
from tests.provenance.test_overlaps import version_of
from tests.world import World

pytestmark = pytest.mark.django_db

LOST = "1 dataset version of the owner or the auditor, which counts as holding the same images"


def lost(world: World, name: str = "Lost", owner: Organisation | None = None) -> Version:
    """Nothing of it is on disk; a copy of it was committed to and given away."""
    made = version(world, name)
    if owner:
        Dataset.objects.filter(pk=made.dataset_id).update(organisation=owner)
    Version.objects.filter(pk=made.pk).update(compared_at=None)
    release(world, made, f"{name}'s reader")
    return Version.objects.get(pk=made.pk)


def test_its_plans_can_be_locked_and_count_all_its_copies(world):
    values = plan_values(world)
    gone = lost(world)
    draft = save_draft(values, by=world.auditor)
    with pytest.raises(PlanError, match="give_up_manifest"):
        lock(draft, by=world.auditor)
    before = copies_of(values)
    give_up(gone, "a fire", by=world.rights_holder)
    after = copies_of(values)
    assert (after.committed, after.untested) == (before.committed + 1, before.untested + 1)
    assert (forecast(values).refusal, forecast(values).tests) == ("", 2)
    plan = lock(draft, by=world.auditor)
    assert plan.frozen["not_compared"] == {"models": 0, "versions": 0, "given_up": 1}
    assert plan.frozen["same_images"]["versions"] == 2


def test_one_of_the_auditors_organisation_counts_in_what_it_plans_and_in_no_plan_of_others(world):
    values = plan_values(world)
    guest = connected(model(world.laboratory, world.guest_auditor, "suspect-1"))
    DatasetGrant.objects.create(
        dataset=values.version.dataset, auditor=world.guest_auditor, granted_by=world.rights_holder
    )
    granted = changed(values, suspect=guest)
    gone = lost(world, "Our own", world.laboratory)
    assert "Our own" in forecast(granted).refusal
    world.laboratory.memberships.create(user=world.guest_auditor, role=Role.RIGHTS_HOLDER)
    give_up(gone, "a fire", by=world.guest_auditor)
    assert (forecast(granted).refusal, forecast(granted).not_compared.given_up) == ("", 1)
    assert (copies_of(granted).untested, copies_of(granted).elsewhere) == (1, 1)
    assert (copies_of(values).untested, forecast(values).not_compared.given_up) == (0, 0)
    assert forecast(values).not_compared.versions == 1  # what others lost stays a number
    assert lock(save_draft(granted, by=world.guest_auditor), by=world.guest_auditor).is_locked


def test_runs_against_other_images_of_the_owner_count_together_then(world):
    bench = Bench(world)
    other = version(world, "Moors")
    bench.stored(bench.queued(bench.plan(release(world, other, "Reader"), version=other)))
    assert forecast(plan_values_of(bench)).factor == 1
    give_up(lost(world), "a fire", by=world.rights_holder)
    ahead = forecast(plan_values_of(bench))
    assert "no further one can give evidence" in ahead.refusal
    assert ahead.factor == 2


def plan_values_of(bench: Bench):
    from audits.services.plans.values import values_of

    return values_of(bench.plan(bench.releases[0]))


def test_plan_json_and_report_say_so(world, sign_in):
    gone = lost(world)
    give_up(gone, "a fire", by=world.rights_holder)
    bench = Bench(world)
    plan = bench.plan(bench.releases[0])
    audit = bench.stored(bench.queued(plan), {("Northgate", "features"): 0.2})
    page = sign_in(world.auditor).get(reverse("plan_detail", args=[plan.pk])).content.decode()
    assert LOST in page
    assert as_json(audit, world.auditor)["not_compared"]["given_up"] == 1
    assert keys_facts(audit).versions_given_up == 1


def test_what_waits_to_be_compared_is_not_called_lost(world, sign_in):
    """Saving a plan compares it; until then the panel says what it is."""
    values = plan_values(world)
    lost(world)
    for number in range(2):
        version_of(world, f"Late {number}", range(9 * number, 9 * number + 5))
    page = sign_in(world.auditor).get(reverse("plan_forecast"), as_form(values)).content.decode()
    assert "1 dataset version without a manifest; 2 dataset versions that were not compared yet" in page
    told = forecast(values).not_compared
    assert (told.versions, told.lost, told.waiting) == (3, 1, 2)
    assert told.to_json() == {"models": 0, "versions": 3, "waiting": 2}
    save_draft(values, by=world.auditor)
    after = forecast(values).not_compared
    assert (after.lost, after.waiting) == (2, 0)  # and now it shows that the audited version's is missing as well
