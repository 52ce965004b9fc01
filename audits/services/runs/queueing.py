"""Runs: queued from a locked plan, and marked as ended where their job ends badly."""

import secrets
import shutil

from django.db import transaction

from audits.models import Audit, Plan
from audits.services.plans.claims import check_claims
from audits.services.plans.locking import check_correction, record
from audits.services.plans.series import hold
from audits.services.plans.values import PlanError, values_of
from provenance.models import Job, Role, User
from provenance.services.access import may_audit, require
from provenance.services.jobs.queue import enqueue

NONCE_BYTES = 32


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
    hold(plan.version, plan.suspect)
    check_correction(plan)
    _check_claims(plan)
    # Drawn here and nowhere else: after the lock, once, so nobody can choose a plan or a nonce to like its draws.
    audit = Audit.objects.create(plan=plan, created_by=by, nonce=secrets.token_hex(NONCE_BYTES))
    audit.job = enqueue("audit.run", audit, organisation=plan.organisation, by=by, params={"audit": str(audit.pk)})
    audit.save(update_fields=["job"])
    record(plan, "audit.queued", by=by, subject=audit, digests={"plan": plan.digest, "nonce": audit.nonce})
    return audit


def _check_claims(plan: Plan) -> None:
    """Other runs may have begun since the lock."""
    try:
        check_claims(values_of(plan), plan)
    except PlanError as error:
        raise PlanError(f"{error.sentence} This plan is locked, so draft a new one.") from error


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
    shutil.rmtree(audit.made_folder, ignore_errors=True)  # a further attempt makes the same again
