"""Copies of the same images: which keys were committed, which of them a plan tests, and which count untested.

Over the versions of all datasets that hold the same images, of whatever organisation: docs/method.md, section 6.8.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import models

from audits.planning.claims import is_late, untested_copies
from audits.services.models.sightings import first_sight
from audits.services.plans.series import counting_runs
from audits.services.plans.values import PlanValues
from provenance.models import Release, Version, WatermarkKey
from provenance.services.overlaps import same_images
from provenance.wording import moment

LATE = (
    "The key of the release for {recipients} was committed to after this suspect was first seen ({seen}). Whoever "
    "draws keys once a model is there can draw until one suits it, so such a plan cannot give evidence. Leave the "
    "release out, or choose “Exploratory” (on the command line, --exploratory)."
)


@dataclass(frozen=True)
class Copies:
    """Copies of the same images as a plan's version. committed: all of them; tested: by this plan.

    untested: those that no run tested and that count in the correction with p = 1. elsewhere: how many belong to
    organisations other than the data's owner; whose they are is told to nobody.
    """

    committed: int
    tested: int
    untested: int
    elsewhere: int

    @property
    def others(self) -> int:
        return self.committed - self.tested


def committed_keys(version: Version, auditor: UUID, seen: datetime) -> "models.QuerySet[WatermarkKey]":
    """Keys that a copy of the same images bears or may still get: committed to, and not given up.

    auditor: the organisation that asks. seen: first sight of the suspect. One that was given up later counts: what it
    would find could be tried out by then, on files that were marked before its release was cancelled.
    """
    same = Version.objects.filter(same_images(version, auditor))
    found = WatermarkKey.objects.filter(version__in=same).exclude(commitment="")
    return found.exclude(state=WatermarkKey.State.DROPPED, dropped_at__lte=seen)


def copies_of(values: PlanValues) -> Copies:
    """As they stand now; a lock freezes the numbers."""
    keys = committed_keys(values.version, values.suspect.organisation_id, _seen(values))
    own = [release.key_id for release in values.releases]
    # One that ended before it asked anything tested nothing.
    runs = counting_runs(values.suspect, values.version)
    tested_before = Release.objects.filter(plans__audits__in=runs).values("key")
    untested = keys.exclude(pk__in=own).exclude(pk__in=tested_before)
    recipients = untested.values_list("release__recipient", flat=True)
    owner = values.version.dataset.organisation_id
    return Copies(
        committed=keys.count(),
        tested=len(own),
        untested=untested_copies((name or "" for name in recipients), at_issue(values)),
        elsewhere=keys.exclude(version__dataset__organisation=owner).count(),
    )


def at_issue(values: PlanValues) -> str:
    """The recipient whose copy the plan names as the one at issue."""
    return values.releases[0].recipient if values.recipient_at_issue and values.releases else ""


def late_releases(values: PlanValues) -> Iterator[Release]:
    """Releases whose key was committed to after the suspect was first seen."""
    seen = _seen(values)
    return (r for r in values.releases if r.key.committed_at is None or is_late(r.key.committed_at, seen))


def late_refusal(values: PlanValues) -> str:
    """Why a plan about such releases cannot give evidence; "" where it may."""
    if values.exploratory:
        return ""
    late = [release.recipient for release in late_releases(values)]
    return LATE.format(recipients=", ".join(late), seen=moment(_seen(values))) if late else ""


def _seen(values: PlanValues) -> datetime:
    return first_sight(values.suspect, values.version.dataset.organisation)
