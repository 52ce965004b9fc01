"""Drafts of plans: what a person may choose from, and what they chose; a draft may be changed until it is locked."""

from django.core.exceptions import PermissionDenied
from django.db import models, transaction

from audits.models import Plan, RegisteredModel
from audits.services.plans.checks import check, check_apart
from audits.services.plans.values import COPIED, PlanError, PlanValues
from provenance.models import Dataset, Role, User, Version
from provenance.services import overlaps
from provenance.services.access import may_audit, require


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


def save_draft(values: PlanValues, *, by: User, plan: Plan | None = None) -> Plan:
    """Makes a draft, or changes one. Raises PlanError where it contradicts itself."""
    check_may_plan(values, by)
    overlaps.compare_all()  # reads files, so before the transaction; the forecast then counts all copies
    return _save(values, by, plan)


@transaction.atomic
def _save(values: PlanValues, by: User, plan: Plan | None) -> Plan:
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


def check_may_plan(values: PlanValues, by: User) -> None:
    require(by, values.suspect.organisation, Role.AUDITOR)
    if not may_audit(by, values.version.dataset):
        raise PermissionDenied("Only auditors to whom this dataset was granted may plan audits on it.")
    if values.held_out is not None and not may_audit(by, values.held_out.dataset):
        raise PermissionDenied("Only auditors to whom the held-out images were granted may plan audits with them.")
