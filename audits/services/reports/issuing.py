"""Evidence reports: ordered by legal staff from a finished audit; the work is a job."""

import uuid

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from audits.models import Audit, Report
from audits.services.reports.facts import may_issue
from provenance.errors import TouchmarkError
from provenance.models import Job, User
from provenance.services.jobs.queue import enqueue


class ReportError(TouchmarkError):
    """A report cannot be issued or handed out as things stand."""


@transaction.atomic
def issue(audit: Audit, *, by: User) -> Report:
    """Queues the report of a finished audit; a report of it that is being written already is answered instead."""
    if not may_issue(by, audit):
        raise PermissionDenied("Only legal staff of the data's owner or of the auditor may issue a report.")
    audit = Audit.objects.select_for_update(of=("self",)).select_related("plan__version__dataset").get(pk=audit.pk)
    if audit.state != Audit.State.DONE:
        raise ReportError("Only a finished audit can be reported. Wait for it to end, or run it again.")
    waiting = audit.reports.filter(state=Report.State.QUEUED, job__in=Job.objects.unfinished()).first()
    if waiting is not None:
        return waiting
    report = Report(audit=audit, created_by=by)
    report.number = number_of(report.pk)
    report.save()
    owner = audit.plan.version.dataset.organisation
    report.job = enqueue("report.issue", report, organisation=owner, by=by, params={"report": str(report.pk)})
    report.save(update_fields=["job"])
    return report


def number_of(pk: uuid.UUID) -> str:
    """The number printed on every page; it tells a reader the day and nothing about other reports."""
    return f"TM-{timezone.now():%Y%m%d}-{pk.hex[:8].upper()}"
