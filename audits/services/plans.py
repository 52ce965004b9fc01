"""Plans: drafted, changed, locked. A locked plan is frozen text with a digest; nothing about it changes afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.utils import timezone

from audits.models import AuditRow, Plan, RegisteredModel
from audits.permutation import MOST_PERMUTATIONS
from audits.ranktest import SCORES, fewest_decoys
from audits.services.frozen_plans import (
    digest_of,
    frozen_model,
    frozen_release,
    frozen_text,
    groups_of,
    levels_of,
)
from provenance.errors import TouchmarkError
from provenance.models import Dataset, Release, Role, User, Version
from provenance.services import log
from provenance.services.access import may_audit, require

LEAST_PERMUTATIONS = 1_000
LEAST_PROBES = 10
MOST_DECOYS_PLANNED = 10_000
_COPIED = (
    "name",
    "version",
    "suspect",
    "level",
    "probes",
    "group_images",
    "permutations",
    "decoys",
    "exceedances",
    "alpha",
    "decide_with_references",
    "wrong_key_control",
)


class PlanError(TouchmarkError):
    """A plan that cannot be saved, locked or run as it stands."""


@dataclass(frozen=True)
class PlanValues:
    """What a person chooses. `references` may be empty; `group_images` counts per group."""

    name: str
    version: Version
    releases: Sequence[Release]
    suspect: RegisteredModel
    references: Sequence[RegisteredModel] = ()
    level: str = Plan.Level.FEATURES
    probes: int = 300
    group_images: int = 50
    permutations: int = 1_000_000
    decoys: int = 199
    exceedances: int = 20
    alpha: float = 0.01
    decide_with_references: bool = False
    wrong_key_control: bool = True

    @property
    def is_plain(self) -> bool:
        """Whether these releases bear plain marks; `check` refuses to mix them with others."""
        return any(release.is_plain for release in self.releases)


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
    if plan is None:
        plan = Plan(created_by=by)
    else:
        plan = Plan.objects.select_for_update().get(pk=plan.pk)
        if plan.is_locked:
            raise PlanError("This plan is locked, so nothing about it can change. Draft a new one.")
    plan.organisation = values.suspect.organisation
    for name in _COPIED:
        setattr(plan, name, getattr(values, name))
    plan.save()
    plan.releases.set(values.releases)
    plan.references.set(values.references)
    return plan


def values_of(plan: Plan) -> PlanValues:
    """A saved plan's values, as `save_draft` took them."""
    return PlanValues(
        name=plan.name,
        version=plan.version,
        releases=list(plan.releases.order_by("recipient", "pk")),
        suspect=plan.suspect,
        references=list(plan.references.order_by("name", "pk")),
        level=plan.level,
        probes=plan.probes,
        group_images=plan.group_images,
        permutations=plan.permutations,
        decoys=plan.decoys,
        exceedances=plan.exceedances,
        alpha=plan.alpha,
        decide_with_references=plan.decide_with_references,
        wrong_key_control=plan.wrong_key_control,
    )


@transaction.atomic
def lock(plan: Plan, *, by: User) -> Plan:
    """Freezes a draft: its canonical JSON is kept, and the SHA-256 of it is recorded in the evidence log."""
    plan = Plan.objects.select_for_update().get(pk=plan.pk)
    values = values_of(plan)
    _may_plan(values, by)
    if plan.is_locked:
        raise PlanError("This plan is locked already.")
    check(values)
    for model in (values.suspect, *values.references):
        # Its description is complete only then: input size, mean and deviation are part of what is frozen.
        if not model.connection:
            raise PlanError(f"Run the connection test of {model.name} first; then lock the plan.")
    plan.locked_at, plan.locked_by = timezone.now(), by
    plan.frozen = frozen_text(plan, values)
    plan.digest = digest_of(plan.frozen)
    plan.state = Plan.State.LOCKED
    plan.save()
    record(
        plan, "plan.locked", by=by, digests={"plan": plan.digest}, details={"earlier runs": earlier_rows(plan).count()}
    )
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
    for release, frozen in zip(values.releases, plan.frozen["releases"], strict=True):
        if frozen_release(release) != frozen:
            raise PlanError(f"The release for {release.recipient} is not what it was when this plan was locked.")


def record(plan: Plan, verb: str, *, by: User | None, subject: models.Model | None = None, **facts: Any) -> None:
    """Logs in the chain of the auditor's organisation and, where it is another one, in that of the data's owner."""
    owner = plan.version.dataset.organisation
    for organisation in {plan.organisation.pk: plan.organisation, owner.pk: owner}.values():
        log.record(verb, subject or plan, organisation=organisation, by=by, **facts)


def earlier_rows(plan: Plan) -> "models.QuerySet[AuditRow]":
    """Results of earlier runs of the same weights against any of the plan's releases."""
    return AuditRow.objects.filter(
        release__in=plan.releases.all(), audit__plan__suspect__sha256=plan.suspect.sha256, audit__state="done"
    ).exclude(audit__plan=plan)


def _may_plan(values: PlanValues, by: User) -> None:
    require(by, values.suspect.organisation, Role.AUDITOR)
    if not may_audit(by, values.version.dataset):
        raise PermissionDenied("Only auditors to whom this dataset was granted may plan audits on it.")


def check(values: PlanValues) -> None:
    """Raises PlanError with the first thing that contradicts itself; the sentence says what to change."""
    _check_releases(values)
    _check_models(values)
    if values.is_plain:
        _check_decoys(values)
    elif not LEAST_PERMUTATIONS <= values.permutations <= MOST_PERMUTATIONS:
        raise PlanError(f"Choose between {LEAST_PERMUTATIONS:,} and {MOST_PERMUTATIONS:,} permutations.")
    if not 0 < values.alpha <= 0.1:
        raise PlanError("Alpha lies above 0 and at most at 0.1; 0.01 is usual.")
    if values.probes < LEAST_PROBES:
        raise PlanError(f"Use {LEAST_PROBES} probes or more.")
    if values.group_images < 1 and not values.is_plain:
        raise PlanError("Use at least one image of every group.")
    marked = max(release.marked_count for release in values.releases)
    if values.probes > values.version.file_count - marked:
        raise PlanError(f"Only {values.version.file_count - marked:,} images are unmarked; use fewer probes.")


def _check_releases(values: PlanValues) -> None:
    if not values.releases:
        raise PlanError("Choose at least one release to test for.")
    for release in values.releases:
        if release.version_id != values.version.pk:
            raise PlanError(f"The release for {release.recipient} was made from another version.")
        if release.state != Release.State.READY:
            raise PlanError(f"The release for {release.recipient} is not ready yet.")
        if release.is_plain != values.is_plain:
            raise PlanError("Plain and associated marks are tested in different ways; make a plan for each.")
        if not release.is_plain and groups_of(release) < 2:
            raise PlanError(f"The release for {release.recipient} has no groups whose assignment could be tested.")


def _check_decoys(values: PlanValues) -> None:
    least = fewest_decoys(len(SCORES), len(values.references))
    if not least <= values.decoys <= MOST_DECOYS_PLANNED:
        raise PlanError(f"Choose between {least} and {MOST_DECOYS_PLANNED:,} decoy keys.")
    if not 0 <= values.exceedances <= values.decoys:
        raise PlanError("The stop after so many exceedances is 0 for never, and at most the number of decoys.")


def _check_models(values: PlanValues) -> None:
    suspect = values.suspect
    if suspect.role != RegisteredModel.ModelRole.SUSPECT:
        raise PlanError(f"{suspect.name} is registered as a reference; choose a suspect.")
    if values.level not in levels_of(suspect):
        raise PlanError(f"{suspect.name} does not return {Plan.Level(values.level).label}; choose another level.")
    seen = {suspect.sha256}
    for reference in values.references:
        if reference.role != RegisteredModel.ModelRole.REFERENCE:
            raise PlanError(f"{reference.name} is not declared as a reference.")
        if reference.organisation_id != suspect.organisation_id:
            raise PlanError(f"{reference.name} belongs to another organisation than the suspect.")
        if reference.sha256 in seen:
            raise PlanError(f"{reference.name} has the same weights as another model of this plan.")
        seen.add(reference.sha256)
        if values.level not in levels_of(reference):
            raise PlanError(f"{reference.name} does not return {Plan.Level(values.level).label}, so it cannot serve.")
    if values.is_plain:
        most = values.decoys
    else:
        most = min((groups_of(release) - 1) ** 2 for release in values.releases)
    if len(values.references) >= most:
        raise PlanError(f"Use fewer than {most} references with these releases.")
    if values.decide_with_references and not values.references:
        raise PlanError("The p with references can count only where there are references; choose some.")
