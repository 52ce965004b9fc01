"""Plans: drafted, changed, locked. A locked plan is frozen text with a digest; nothing about it changes afterwards."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.utils import timezone

from audits.models import Plan, RegisteredModel
from audits.services.frozen_plans import digest_of, frozen_model, frozen_release, frozen_text, read_by_runs
from audits.services.plan_checks import check, check_apart
from audits.services.plan_values import COPIED, PlanError, PlanValues, values_of
from audits.services.repeated_runs import check_series, counting_runs, hold
from provenance.models import Dataset, Role, User, Version
from provenance.services import log
from provenance.services.access import may_audit, require

__all__ = [
    "PlanError",
    "PlanValues",
    "auditable_versions",
    "check",
    "check_unchanged",
    "lock",
    "record",
    "save_draft",
    "usable_models",
    "values_of",
]


def auditable_versions(user: User) -> "models.QuerySet[Version]":
    """Ready versions of the datasets on which this person may plan audits, those with a ready release first."""
    own = user.organisations(Role.AUDITOR)
    granted = models.Q(dataset__grants__auditor=user) if own.exists() else models.Q(pk__in=[])
    mine = models.Q(dataset__in=Dataset.objects.filter(organisation__in=own))
    found = Version.objects.ready().filter(mine | granted).select_related("dataset").distinct()
    return found.order_by("dataset__name", "-number")


def usable_models(user: User) -> "models.QuerySet[RegisteredModel]":
    """Suspects and references of the organisations whose auditor this person is."""
    mine = RegisteredModel.objects.filter(organisation__in=user.organisations(Role.AUDITOR))
    return (mine.suspects() | mine.references()).order_by("name")


@transaction.atomic
def save_draft(values: PlanValues, *, by: User, plan: Plan | None = None) -> Plan:
    """Makes a draft, or changes one. Raises PlanError where it contradicts itself."""
    _may_plan(values, by)
    check(values)
    if values.held_out is not None:
        check_apart(values.held_out, values.version)
    if plan is None:
        plan = Plan(created_by=by)
    else:
        plan = Plan.objects.select_for_update().get(pk=plan.pk)
        if plan.is_locked:
            raise PlanError("This plan is locked, so nothing about it can change. Draft a new one.")
    plan.organisation = values.suspect.organisation
    for name in COPIED:
        setattr(plan, name, getattr(values, name))
    plan.further_primary = [level for level in values.primary_levels if level != values.level]
    plan.save()
    plan.releases.set(values.releases)
    plan.references.set(values.references)
    return plan


@transaction.atomic
def lock(plan: Plan, *, by: User) -> Plan:
    """Freezes a draft: its canonical JSON is kept, and the SHA-256 of it is recorded in the evidence log."""
    plan = Plan.objects.select_for_update().get(pk=plan.pk)
    values = values_of(plan)
    _may_plan(values, by)
    if plan.is_locked:
        raise PlanError("This plan is locked already.")
    check(values)
    if values.held_out is not None:
        check_apart(values.held_out, values.version)
    for model in (values.suspect, *values.references):
        # Its description is complete only then: input size, mean and deviation are part of what is frozen.
        if not model.connection:
            raise PlanError(f"Run the connection test of {model.name} first; then lock the plan.")
    hold(values.releases)
    check_series(values, plan)
    plan.locked_at, plan.locked_by = timezone.now(), by
    plan.frozen = frozen_text(plan, values)
    plan.digest = digest_of(plan.frozen)
    plan.state = Plan.State.LOCKED
    plan.save()
    earlier = counting_runs(values.suspect, values.releases).count()
    record(plan, "plan.locked", by=by, digests={"plan": plan.digest}, details={"earlier runs": earlier})
    return plan


def check_unchanged(plan: Plan) -> None:
    """Raises PlanError where what a locked plan names is no longer what was frozen."""
    if digest_of(plan.frozen) != plan.digest:
        raise PlanError("The frozen plan and its digest disagree: somebody altered the database. Nothing was asked.")
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


def record(plan: Plan, verb: str, *, by: User | None, subject: models.Model | None = None, **facts: Any) -> None:
    """Logs in the chain of the auditor's organisation and, where it is another one, in that of the data's owner."""
    owner = plan.version.dataset.organisation
    for organisation in {plan.organisation.pk: plan.organisation, owner.pk: owner}.values():
        log.record(verb, subject or plan, organisation=organisation, by=by, **facts)


def _may_plan(values: PlanValues, by: User) -> None:
    require(by, values.suspect.organisation, Role.AUDITOR)
    if not may_audit(by, values.version.dataset):
        raise PermissionDenied("Only auditors to whom this dataset was granted may plan audits on it.")
    if values.held_out is not None and not may_audit(by, values.held_out.dataset):
        raise PermissionDenied("Only auditors to whom the held-out images were granted may plan audits with them.")
