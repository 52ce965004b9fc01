"""Repeated runs: all that ask one suspect about copies of the same images, and count in each other's correction.

What one suspect is stands in `audits.services.models.identity`, what the same images in
`provenance.services.overlaps`.

A run counts from the moment it is queued, with p = 1 until it has one, for good where it ended after its first question
and where another organisation made it. Those of its house alone stop it: docs/method.md, section 6.3.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from django.db import models
from django.db.models import Count, Exists, OuterRef

from audits.models import Audit, AuditRow, Plan, RegisteredModel
from audits.models.audits import AuditQuerySet
from audits.planning.claims import SHOWN_OF_A_REFERENCE, p_values_shown
from audits.services.models.identity import registrations_of
from audits.services.plans.values import PlanValues, levels_of
from audits.statistics.corrections import Finding
from provenance.models import Job, Organisation, Release, User, Version
from provenance.services.overlaps import same_images

IN_PROGRESS = (Audit.State.QUEUED, Audit.State.RUNNING)
JOB_IN_PROGRESS = (Job.State.QUEUED, Job.State.RUNNING)  # taken up again, so it may still ask
ASKS = models.Q(state__in=IN_PROGRESS) | models.Q(job__state__in=JOB_IN_PROGRESS)
ASKED = models.Q(state=Audit.State.DONE) | models.Q(asked_at__isnull=False)


def runs_of(suspect: RegisteredModel, version: Version) -> AuditQuerySet:
    """Every run of this suspect against copies of the same images, in the order in which they were queued."""
    return _against(version, suspect).filter(plan__suspect__in=registrations_of(suspect))


def asked_as_reference(suspect: RegisteredModel, version: Version) -> AuditQuerySet:
    """Runs of other suspects against copies of the same images that asked, or may ask, this one as a reference."""
    named = Plan.objects.filter(references__in=registrations_of(suspect))
    return _against(version, suspect).filter(ASKS | ASKED, plan__in=named)


def _against(version: Version, suspect: RegisteredModel) -> AuditQuerySet:
    versions = Version.objects.filter(same_images(version, suspect.organisation_id))
    return Audit.objects.filter(plan__version__in=versions).order_by("created_at", "pk")


def of_the_house(suspect: RegisteredModel, version: Version) -> models.Q:
    """To be asked of runs: those of the suspect's and the data's own organisations, and those made under a grant of the
    latter. What strangers do with images that they hold, too, must neither stop a run nor spend what is the house's."""
    owner = version.dataset.organisation_id
    granted = models.Q(plan__version__dataset__organisation=owner)
    return granted | models.Q(plan__organisation__in=(owner, suspect.organisation_id))


def runs_against(suspect: RegisteredModel, releases: Iterable[Release]) -> AuditQuerySet:
    """Those against one of these releases: what earlier versions corrected over."""
    found = Audit.objects.filter(plan__suspect__in=registrations_of(suspect), plan__releases__in=list(releases))
    return found.distinct().order_by("created_at", "pk")


def counting_runs(suspect: RegisteredModel, version: Version) -> AuditQuerySet:
    """Runs against copies of the same images that count in a correction."""
    return runs_of(suspect, version).filter(ASKS | ASKED)


def run_numbers(suspect: RegisteredModel, version: Version) -> dict[Any, int]:
    """Numbers of all runs of a suspect against copies of the same images, from 1 in the order of their creation.

    Runs that failed or still wait have theirs too: so a run's place in an open series is settled when it is queued and
    does not change with what other runs find or when they end.
    """
    return {pk: number for number, pk in enumerate(runs_of(suspect, version).values_list("pk", flat=True), 1)}


def shown_before(suspect: RegisteredModel, version: Version, audit: Audit | None = None) -> int:
    """How many p-values the house's runs ordered before this one show, or all its runs: what an open series has spent.

    Runs of other suspects to which it was a reference show some of its own.
    """
    house = of_the_house(suspect, version)
    looks = asked_as_reference(suspect, version).filter(house)
    looks = looks.filter(created_at__lt=audit.created_at) if audit else looks
    seen = SHOWN_OF_A_REFERENCE * sum(_shown_by_each(looks, alone=True).values())
    shown = _shown_by_each(runs_of(suspect, version).filter(house))
    before = takewhile(lambda run: audit is None or run != audit.pk, shown)
    return seen + sum(shown[run] for run in before)


def shown_by_strangers(suspect: RegisteredModel, version: Version) -> int:
    """How many p-values the counting runs outside the house show: in an open series each counts with p = 1."""
    runs = counting_runs(suspect, version).exclude(of_the_house(suspect, version))
    return sum(_shown_by_each(runs).values())


def shown_by(plan: Plan) -> int:
    """How many p-values a run of this plan shows."""
    return p_values_shown(plan.releases.count(), len(levels_of(plan.suspect)), plan.references.exists())


def _shown_by_each(runs: AuditQuerySet, alone: bool = False) -> dict[Any, int]:
    """The same by run, in their order, asked for all at once. alone: but for those with references."""
    referring = Exists(Plan.references.through.objects.filter(plan=OuterRef("plan")))
    counted = runs.select_related("plan__suspect").annotate(released=Count("plan__releases"), referring=referring)
    return {
        run.pk: p_values_shown(run.released, len(levels_of(run.plan.suspect)), run.referring and not alone)
        for run in counted
    }


def shown_if_run(values: PlanValues) -> int:
    """The same of a plan that may not be saved yet."""
    return p_values_shown(len(values.releases), len(levels_of(values.suspect)), bool(values.references))


def findings_of_others(
    suspect: RegisteredModel, version: Version, organisation: Organisation, plan: Plan | None
) -> list[Finding]:
    """What every other run brings into the correction of one that `organisation` makes.

    plan: whose own run is no other one; None where none was saved yet.
    """
    numbers = run_numbers(suspect, version)
    runs = counting_runs(suspect, version).exclude(plan=plan) if plan else counting_runs(suspect, version)
    told, untold = list[Audit](), list[Audit]()
    for run in runs.select_related("plan__suspect").prefetch_related("plan__releases"):
        tells = run.state == Audit.State.DONE and run.plan.organisation_id == organisation.pk
        (told if tells else untold).append(run)
    return [*_found(told, numbers), *_as_if_nothing_was_found(untold, numbers)]


def _found(runs: Sequence[Audit], numbers: Mapping[Any, int]) -> Iterator[Finding]:
    """Their p-values, each primary where its own plan had declared it so."""
    for release, run, level, p, primary in AuditRow.objects.filter(audit__in=runs).p_values():
        yield Finding(str(release), level, numbers[run], p, primary)


def _as_if_nothing_was_found(runs: Sequence[Audit], numbers: Mapping[Any, int]) -> Iterator[Finding]:
    for run in runs:
        for release in run.plan.releases.all():
            for level in levels_of(run.plan.suspect):
                yield Finding(str(release.pk), level, numbers[run.pk], 1.0, level in run.plan.primary_levels)


def hold(version: Version, suspect: RegisteredModel) -> None:
    """Makes others wait who are about to lock a plan, queue a run or store a result about copies of the same images.

    So of two results that are stored at the same time the second counts the first. For the rest of the transaction;
    SQLite lets one transaction write at a time anyway.
    """
    held = Version.objects.select_for_update(no_key=True).filter(same_images(version, suspect.organisation_id))
    list(held.order_by("pk").values_list("pk"))


@dataclass(frozen=True)
class OtherRuns:
    """Runs of the same suspect against copies of the same images that were queued before one audit, and after it.

    elsewhere: how many there are beside them that a person may not see; they count all the same.
    """

    earlier: tuple[Audit, ...]
    later: tuple[Audit, ...]
    earlier_elsewhere: int = 0
    later_elsewhere: int = 0

    @property
    def elsewhere(self) -> int:
        return self.earlier_elsewhere + self.later_elsewhere

    def __bool__(self) -> bool:
        return bool(self.earlier or self.later or self.elsewhere)

    def seen_by(self, user: User) -> "OtherRuns":
        every = [run.pk for run in (*self.earlier, *self.later)]
        own = set(Audit.objects.for_user(user).filter(pk__in=every).values_list("pk", flat=True))
        earlier, later = (tuple(run for run in runs if run.pk in own) for runs in (self.earlier, self.later))
        return OtherRuns(earlier, later, len(self.earlier) - len(earlier), len(self.later) - len(later))


def other_runs(audit: Audit) -> OtherRuns:
    """All of them, whatever their end; of a plan of an earlier version those against one of its own releases."""
    plan = audit.plan
    found = (
        runs_of(plan.suspect, plan.version) if plan.counts_copies else runs_against(plan.suspect, plan.releases.all())
    )
    every = list(found.select_related("plan"))
    place = [run.pk for run in every].index(audit.pk)
    return OtherRuns(tuple(every[:place]), tuple(every[place + 1 :]))


@dataclass(frozen=True)
class OtherWeights:
    """Runs that stand in no correction: of other suspects, against one of the same releases."""

    runs: int
    files: int  # different weights files that they tested


def other_weights(audit: Audit, user: User | None = None) -> OtherWeights:
    """Runs ordered before this one of other suspects against one of the same releases, whatever their end.

    A report says how many there are, of all organisations. user: count what this person may see only.
    """
    every = Audit.objects.for_user(user) if user else Audit.objects.all()
    found = every.filter(plan__releases__in=audit.plan.releases.all(), created_at__lt=audit.created_at)
    others = found.exclude(plan__suspect__in=registrations_of(audit.plan.suspect))
    counts = others.aggregate(runs=Count("pk", distinct=True), files=Count("plan__suspect__sha256", distinct=True))
    return OtherWeights(**counts)
