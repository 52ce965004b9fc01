"""Blocks of a keyed choice that a suspect was asked about before; a plan states them, and so do result and report.

Whoever answers over an interface and still holds a copy could tell from the views what he lacks; a second audit asks
about blocks that were kept from him (docs/method.md, section 12.10).
"""

from dataclasses import asdict
from typing import Any

from django.db import models

from audits.models import Audit, Plan, RegisteredModel
from audits.planning.exposure import Exposure, blocks_kept, places_asked, places_exposed
from audits.services.models.identity import registrations_of
from audits.services.plans.keyed_choices import blocks_used
from audits.services.plans.series import ASKED
from audits.services.plans.values import PlanValues, choice_of
from provenance.models import Release

FROZEN = "blocks_asked"  # in the frozen text


def exposures(values: PlanValues, plan: Plan | None = None) -> list[tuple[Release, Exposure]]:
    """Of every release that makes a keyed choice, as things stand now. plan: whose own run is no earlier one."""
    return [
        (release, _exposure(release, values.suspect, blocks_used(release), values.kept_share, values.asks_kept, plan))
        for release in values.releases
        if choice_of(release)
    ]


def lacks_first_audit(values: PlanValues) -> bool:
    """Whether a plan asks about kept blocks, and no locked plan about this model and copy kept the same share."""
    known = registrations_of(values.suspect)
    first = Plan.objects.filter(suspect__in=known, releases__in=values.releases, locked_at__isnull=False)
    return values.asks_kept and not first.filter(asks_kept=False, kept_share=values.kept_share).exists()


def frozen_exposures(values: PlanValues, plan: Plan) -> list[dict[str, Any]]:
    """The same for the frozen text."""
    return [{"release": str(release.pk), **asdict(found)} for release, found in exposures(values, plan)]


def as_locked(plan: Plan) -> list[tuple[Release, Exposure]]:
    """As the lock froze them; plans of earlier versions say nothing."""
    frozen = {one["release"]: one for one in plan.frozen.get(FROZEN, ())}
    releases = [release for release in plan.releases.order_by("recipient", "pk") if str(release.pk) in frozen]
    return [(release, _read(frozen[str(release.pk)])) for release in releases]


def exposure_of_run(audit: Audit, release: Release) -> Exposure | None:
    """Of one release when its run was ordered; None where it makes no keyed choice, or the plan did not freeze it."""
    plan = audit.plan
    for one, found in as_locked(plan):
        if one.pk == release.pk:
            return _exposure(release, plan.suspect, found.blocks, plan.kept_share, plan.asks_kept, plan, audit)
    return None


def _read(frozen: dict[str, Any]) -> Exposure:
    return Exposure(**{name: value for name, value in frozen.items() if name != "release"})


def _exposure(
    release: Release,
    suspect: RegisteredModel,
    blocks: int,
    share: float,
    asks_kept: bool,
    plan: Plan | None,
    run: Audit | None = None,
) -> Exposure:
    asked = places_asked(blocks, share, asks_kept)
    same, runs, elsewhere = [], 0, 0
    for earlier in _earlier(release, suspect, plan, run):
        runs += 1
        if any(one.pk == release.pk for one in earlier.plan.releases.all()):
            same.append(places_asked(blocks, earlier.plan.kept_share, earlier.plan.asks_kept))
        else:
            elsewhere += sum(found.asked for _, found in as_locked(earlier.plan)) or blocks
    return Exposure(
        blocks=blocks,
        kept=blocks_kept(blocks, share),
        asks_kept=asks_kept,
        exposed=places_exposed(asked, same, elsewhere),
        runs=runs,
    )


def _earlier(
    release: Release, suspect: RegisteredModel, plan: Plan | None, run: Audit | None
) -> "models.QuerySet[Audit]":
    """Runs that asked this model, as a suspect or a reference, about copies of the version that make the same kind of
    keyed choice."""
    known = registrations_of(suspect)
    named = models.Q(plan__suspect__in=known) | models.Q(plan__references__in=known)
    others = release.version.releases.select_related("key")
    alike = [one.pk for one in others if type(choice_of(one)) is type(choice_of(release))]
    found = Audit.objects.filter(ASKED, named, plan__releases__in=alike)
    found = found.exclude(plan=plan) if plan else found
    found = found.filter(created_at__lt=run.created_at) if run else found
    return found.select_related("plan").prefetch_related("plan__releases").distinct().order_by("created_at", "pk")
