"""Locked plans: frozen text with a digest, about which nothing changes afterwards."""

from typing import Any

from django.db import models, transaction
from django.utils import timezone

from audits.models import Plan
from audits.services.plans.checks import check, check_apart
from audits.services.plans.claims import check_claims
from audits.services.plans.drafting import check_may_plan
from audits.services.plans.frozen import (
    CORRECTIONS,
    digest_of,
    frozen_model,
    frozen_release,
    frozen_text,
    read_by_runs,
)
from audits.services.plans.series import counting_runs, hold
from audits.services.plans.values import PlanError, values_of
from provenance.models import User
from provenance.services import log, overlaps


def lock(plan: Plan, *, by: User) -> Plan:
    """Freezes a draft: its canonical JSON is kept, and the SHA-256 of it is recorded in the evidence log."""
    check_may_plan(values_of(plan), by)
    overlaps.compare_all()  # reads files, so before the transaction
    return _lock(plan, by)


@transaction.atomic
def _lock(plan: Plan, by: User) -> Plan:
    plan = Plan.objects.select_for_update().get(pk=plan.pk)
    values = values_of(plan)
    check_may_plan(values, by)
    if plan.is_locked:
        raise PlanError("This plan is locked already.")
    check(values)
    if values.held_out is not None:
        check_apart(values.held_out, values.version)
    for model in (values.suspect, *values.references):
        # Its description is complete only then: input size, mean and deviation are part of what is frozen.
        # A model that was tested before identities were taken could be one with the others and nobody would know.
        if not model.connection or not model.identity:
            raise PlanError(f"Run the connection test of {model.name} first; then lock the plan.")
    hold(values.version, values.suspect)
    check_claims(values, plan)
    plan.locked_at, plan.locked_by = timezone.now(), by
    plan.frozen = frozen_text(plan, values)
    plan.digest = digest_of(plan.frozen)
    plan.state = Plan.State.LOCKED
    plan.save()
    earlier = counting_runs(values.suspect, values.version).count()
    record(plan, "plan.locked", by=by, digests={"plan": plan.digest}, details={"earlier runs": earlier})
    return plan


def check_unchanged(plan: Plan) -> None:
    """Raises PlanError where what a locked plan names is no longer what was frozen."""
    if digest_of(plan.frozen) != plan.digest:
        raise PlanError("The frozen plan and its digest disagree: somebody altered the database. Nothing was asked.")
    check_correction(plan)
    values = values_of(plan)
    named = [(values.suspect, plan.frozen["suspect"])]
    named += list(zip(values.references, plan.frozen["references"], strict=True))
    for model, frozen in named:
        if frozen_model(model) != frozen:
            raise PlanError(f"{model.name} was described anew after this plan was locked. Lock a new plan.")
    if any(plan.frozen.get(name, value) != value for name, value in read_by_runs(values).items()):
        raise PlanError(
            "The plan's row and its frozen text disagree: somebody altered the database. Nothing was asked."
        )
    for release, frozen in zip(values.releases, plan.frozen["releases"], strict=True):
        if frozen_release(release) != frozen:
            raise PlanError(f"The release for {release.recipient} is not what it was when this plan was locked.")


def check_correction(plan: Plan) -> None:
    """Raises PlanError where a locked plan froze another correction than the one that would be made."""
    if plan.frozen["correction"] not in CORRECTIONS:
        raise PlanError(
            "This plan was locked by an earlier version, whose correction left out copies of the same images that "
            "were not tested. Lock a new plan."
        )


def record(plan: Plan, verb: str, *, by: User | None, subject: models.Model | None = None, **facts: Any) -> None:
    """Logs in the chain of the auditor's organisation and, where it is another one, in that of the data's owner."""
    owner = plan.version.dataset.organisation
    for organisation in {plan.organisation.pk: plan.organisation, owner.pk: owner}.values():
        log.record(verb, subject or plan, organisation=organisation, by=by, **facts)
