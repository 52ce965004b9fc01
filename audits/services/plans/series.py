"""Repeated runs: all that ask the same suspect about one of the same releases, and so count in each other's correction.

What the same suspect is stands in `audits.services.models.identity`.

A run counts from the moment it is queued, with p = 1 until it has one, for good where it ended after its first question
and where another organisation made it: docs/method.md, section 6.3.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models import Count

from audits.models import Audit, AuditRow, Plan, RegisteredModel
from audits.models.audits import AuditQuerySet
from audits.services.models.identity import registrations_of
from audits.services.plans.values import PlanError, PlanValues, levels_of
from audits.statistics.corrections import Finding
from provenance.models import Job, Organisation, Release, User

IN_PROGRESS = (Audit.State.QUEUED, Audit.State.RUNNING)
JOB_IN_PROGRESS = (Job.State.QUEUED, Job.State.RUNNING)  # taken up again, so it may still ask
CLOSED_BEFORE = (
    "This suspect has been run against these releases in a closed series, and a series that turned open would spend "
    "more than alpha. Leave “More runs may follow” empty (on the command line, leave out --series-open)."
)
OPEN_BEFORE = (
    "This suspect has been run against these releases in an open series, and a closed run beside it would spend more "
    "than alpha. Choose “More runs may follow, as many as it takes” (on the command line, --series-open)."
)


def runs_of(suspect: RegisteredModel, releases: Iterable[Release]) -> AuditQuerySet:
    """Every run of this suspect against any of these releases, in the order in which they were queued."""
    found = Audit.objects.filter(plan__suspect__in=registrations_of(suspect), plan__releases__in=list(releases))
    return found.distinct().order_by("created_at", "pk")


def counting_runs(suspect: RegisteredModel, releases: Iterable[Release]) -> AuditQuerySet:
    """Those of them that count in a correction."""
    asks = models.Q(state__in=IN_PROGRESS) | models.Q(job__state__in=JOB_IN_PROGRESS)
    asked = models.Q(state=Audit.State.DONE) | models.Q(asked_at__isnull=False)
    return runs_of(suspect, releases).filter(asks | asked)


def run_numbers(suspect: RegisteredModel, releases: Iterable[Release]) -> dict[Any, int]:
    """Numbers of all runs of this suspect against any of these releases, from 1 in the order of their creation.

    Runs that failed or still wait have theirs too: so a run's number, and the alpha that an open series spends on it,
    is settled when it is queued and does not change with what other runs find or when they end.
    """
    return {pk: number for number, pk in enumerate(runs_of(suspect, releases).values_list("pk", flat=True), 1)}


def findings_of_others(
    suspect: RegisteredModel, releases: Sequence[Release], organisation: Organisation, plan: Plan | None
) -> list[Finding]:
    """What every other run brings into the correction of one that `organisation` makes.

    plan: whose own run is no other one; None where none was saved yet.
    """
    numbers = run_numbers(suspect, releases)
    runs = counting_runs(suspect, releases).exclude(plan=plan) if plan else counting_runs(suspect, releases)
    told, untold = list[Audit](), list[Audit]()
    for run in runs.select_related("plan__suspect").prefetch_related("plan__releases"):
        tells = run.state == Audit.State.DONE and run.plan.organisation_id == organisation.pk
        (told if tells else untold).append(run)
    return [*_found(told, releases, numbers), *_as_if_nothing_was_found(untold, releases, numbers)]


def _found(runs: Sequence[Audit], releases: Sequence[Release], numbers: Mapping[Any, int]) -> Iterator[Finding]:
    """Their p-values, each primary where its own plan had declared it so."""
    p_of = [f"result__levels__{level}__p" for level in Plan.Level.values]  # a whole result holds every histogram
    rows = AuditRow.objects.filter(audit__in=runs, release__in=releases)
    named = rows.values_list("release_id", "audit_id", "result__level", "result__primary_levels", *p_of)
    for release, run, one, declared, *p_values in named:
        for level, p in zip(Plan.Level.values, p_values, strict=True):
            if p is not None:
                # Results of versions before levels could be declared had one that decided.
                yield Finding(str(release), level, numbers[run], float(p), level in (declared or [one]))


def _as_if_nothing_was_found(
    runs: Sequence[Audit], releases: Sequence[Release], numbers: Mapping[Any, int]
) -> Iterator[Finding]:
    own = {release.pk for release in releases}
    for run in runs:
        for release in (release.pk for release in run.plan.releases.all() if release.pk in own):
            for level in levels_of(run.plan.suspect):
                yield Finding(str(release), level, numbers[run.pk], 1.0, level in run.plan.primary_levels)


def hold(releases: Iterable[Release]) -> None:
    """Makes others wait who are about to queue a run or store a result about one of these releases.

    So of two results that are stored at the same time the second counts the first. For the rest of the transaction;
    SQLite lets one transaction write at a time anyway.
    """
    held = Release.objects.select_for_update(no_key=True).filter(pk__in=[release.pk for release in releases])
    list(held.order_by("pk").values_list("pk"))


def check_series(values: PlanValues, plan: Plan | None = None) -> None:
    """Raises PlanError where a plan's series is of another kind than that of the runs that count already.

    A closed run may spend all of alpha and so may open ones together: side by side they would spend more. Where both
    kinds were made before this was checked, further ones are open, which costs more with every run.
    """
    runs = counting_runs(values.suspect, values.releases)
    runs = runs.exclude(plan=plan) if plan else runs
    are_open = set(runs.values_list("plan__series_is_open", flat=True))
    if True in are_open and not values.series_is_open:
        raise PlanError(OPEN_BEFORE)
    if are_open == {False} and values.series_is_open:
        raise PlanError(CLOSED_BEFORE)


@dataclass(frozen=True)
class OtherRuns:
    """Runs of the same suspect against one of the same releases that were queued before one audit, and after it.

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
    """All of them, whatever their end."""
    every = list(runs_of(audit.plan.suspect, audit.plan.releases.all()).select_related("plan"))
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
