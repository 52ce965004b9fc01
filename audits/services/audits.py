"""Audits: queued from a locked plan, seen by people according to what they may know, compared."""

import secrets
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count

from audits.models import Audit, AuditRow, Plan
from audits.services.plans import PlanError, record, values_of
from audits.services.repeated_runs import check_series, hold
from provenance.models import Job, Organisation, Release, Role, User
from provenance.services import jobs
from provenance.services.access import may_audit, require

NONCE_BYTES = 32
MATRICES = ("pulls", "residual", "centred")  # of a level of an associated set, pattern by group
RANK, COMBINED = "rank", "combined"  # the result's "test"; a permutation test has none there


@transaction.atomic
def queue(plan: Plan, *, by: User) -> Audit:
    """Queues the run of a locked plan. One plan is run once; a failed or cancelled run is taken up again as a job."""
    plan = Plan.objects.select_for_update().get(pk=plan.pk)
    require(by, plan.organisation, Role.AUDITOR)
    if not may_audit(by, plan.version.dataset):
        raise PlanError("The grant for this dataset was withdrawn, so its audits cannot be run.")
    if not plan.is_locked:
        raise PlanError("Lock the plan first: only a locked plan can be run.")
    before = plan.audits.order_by("-created_at").first()
    if before is not None:
        state = "is waiting or running" if before.state in (Audit.State.QUEUED, Audit.State.RUNNING) else "has been run"
        raise PlanError(f"This plan {state}. Try its run again from its page, or lock a new plan for another one.")
    hold(plan.releases.all())
    _check_series(plan)
    # Drawn here and nowhere else: after the lock, once, so nobody can choose a plan or a nonce to like its draws.
    audit = Audit.objects.create(plan=plan, created_by=by, nonce=secrets.token_hex(NONCE_BYTES))
    audit.job = jobs.enqueue("audit.run", audit, organisation=plan.organisation, by=by, params={"audit": str(audit.pk)})
    audit.save(update_fields=["job"])
    record(plan, "audit.queued", by=by, subject=audit, digests={"plan": plan.digest, "nonce": audit.nonce})
    return audit


def _check_series(plan: Plan) -> None:
    """Runs of the other kind may have begun since the lock."""
    try:
        check_series(values_of(plan), plan)
    except PlanError as error:
        raise PlanError(f"{error.sentence} This plan is locked, so draft a new one.") from error


def may_see_assignment(user: User, release: Release) -> bool:
    """Only rights-holders of the organisation that owns the key."""
    return user.has_role(release.version.dataset.organisation, Role.RIGHTS_HOLDER)


def visible_result(row: AuditRow, user: User) -> dict[str, Any]:
    """What one person may see of a row's result: everything, or without a way to derive the secret assignment."""
    return full_result(row) if may_see_assignment(user, row.release) else shuffled_result(row)


def full_result(row: AuditRow) -> dict[str, Any]:
    """The result with the true assignment; patterns are named by number, groups by name."""
    result = dict(row.result)
    if "sets" in result:
        return result | {"shuffled": False, "sets": [_full(one) for one in result["sets"]]}
    return _full(result)


def _full(result: dict[str, Any]) -> dict[str, Any]:
    if result.get("test") == RANK:
        return result | {"shuffled": False}
    names = result["groups"]
    return {name: value for name, value in result.items() if name != "shuffle"} | {
        "shuffled": False,
        "pattern_names": [f"Pattern {number + 1}" for number in range(len(names))],
        "group_names": list(names),
    }


def shuffled_result(row: AuditRow) -> dict[str, Any]:
    """The result with patterns in an order drawn once at random, without names, assignment or matrices.

    Every table and JSON answer of a mark set uses the same order, so that nothing can be told from their differences;
    each set has an order of its own, and what the sets say together names no pattern and no group.
    """
    result = dict(row.result)
    if "sets" in result:
        return result | {"shuffled": True, "sets": [_shuffled(one) for one in result["sets"]]}
    return _shuffled(result)


def _shuffled(result: dict[str, Any]) -> dict[str, Any]:
    if result.get("test") == RANK:
        return result | {"shuffled": True, "levels": {n: _without_true(level) for n, level in result["levels"].items()}}
    patterns = result["shuffle"]["patterns"]
    shown = {name: value for name, value in result.items() if name not in ("shuffle", "assignment", "groups")}
    restriction = result.get("restriction")
    if restriction:
        # Which group is in which class would name the groups of a class that stands alone in its size.
        shown["restriction"] = restriction | {"size_classes": len(set(restriction["size_classes"]))}
    levels = {name: _shuffled_level(level, patterns) for name, level in result["levels"].items()}
    return shown | {
        "shuffled": True,
        "levels": levels,
        "pattern_names": [f"Pattern {letter}" for letter in letters(len(patterns))],
        "group_names": [f"Group {letter}" for letter in letters(len(patterns))],
    }


def _without_true(level: dict[str, Any]) -> dict[str, Any]:
    """A rank test's level with nothing about the true key but its Q: all that is left is in the order of size."""
    if "densities" not in level:
        return level
    return level | {"densities": {"decoys": level["densities"]["decoys"]}}


def letters(count: int) -> list[str]:
    """A, B … Z, AA, AB …"""
    names = []
    for number in range(count):
        name = ""
        while number >= 0:
            name = chr(ord("A") + number % 26) + name
            number = number // 26 - 1
        names.append(name)
    return names


def _shuffled_level(level: dict[str, Any], patterns: list[int]) -> dict[str, Any]:
    """One level, its patterns in the shuffled order, without any matrix of patterns and groups.

    No order would hide what is in one. Auditors hold the model and may look at the images, so they know what it answers
    to each group; where its outputs are fewer than the groups, that alone tells which column is which group, and the
    published statistic tells which cells are the key's. Bans give rows and columns away as well.
    """
    if "pulls" not in level:  # a level that could not be scored holds its reason only
        return level
    shown = {name: value for name, value in level.items() if name not in MATRICES}
    # A pattern's pull to its own group is a cell of the matrix.
    shown["densities"] = [
        {key: value for key, value in level["densities"][j].items() if key != "pull"} for j in patterns
    ]
    return shown


@dataclass(frozen=True)
class OtherWeights:
    """Runs that stand in no correction: of other weights, against one of the same releases."""

    runs: int
    files: int  # different weights files that they tested


def other_weights(audit: Audit, user: User | None = None) -> OtherWeights:
    """Runs ordered before this one of other weights against one of the same releases, whatever their end.

    Weights are told apart by their digest, so a file changed by one byte is counted here and not among the earlier
    runs: a report says how many there are, of all organisations. user: count what this person may see only.
    """
    every = Audit.objects.for_user(user) if user else Audit.objects.all()
    found = every.filter(plan__releases__in=audit.plan.releases.all(), created_at__lt=audit.created_at)
    others = found.exclude(plan__suspect__sha256=audit.plan.suspect.sha256)
    counts = others.aggregate(runs=Count("pk", distinct=True), files=Count("plan__suspect__sha256", distinct=True))
    return OtherWeights(**counts)


def organisations_of(audit: Audit) -> list[Organisation]:
    """The auditor's organisation, and the data's owner where that is another one."""
    owner = audit.plan.version.dataset.organisation
    mine = audit.plan.organisation
    return [mine] if mine == owner else [mine, owner]


def mark_ended(job: Job) -> None:
    """The audit's own row says that its job failed or was cancelled, and so does the log.

    Not where its result was stored before: that stays, and with it its place in the correction of other runs.
    """
    unfinished = Audit.objects.select_for_update(of=("self",)).exclude(state=Audit.State.DONE)
    audit = unfinished.filter(pk=job.params["audit"]).select_related("plan").first()
    if audit is None:
        return
    cancelled = job.state == Job.State.CANCELLED
    audit.state = Audit.State.CANCELLED if cancelled else Audit.State.FAILED
    audit.finished_at = job.finished_at
    audit.save(update_fields=["state", "finished_at"])
    verb = "audit.cancelled" if cancelled else "audit.failed"
    record(audit.plan, verb, by=None, subject=audit, details={"reason": job.reason, "attempt": job.attempt})
