"""The job that issues a report: collects the facts, lays them out, and stores PDF and JSON with their digests."""

import hashlib

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models.fields.files import FieldFile
from django.utils import timezone

from audits.models import Report
from audits.services.reports.facts import collect
from provenance.models import Job
from provenance.services import log
from provenance.services.jobs.kinds import job_kind
from provenance.services.jobs.running import JobRun


def mark_ended(job: Job) -> None:
    Report.objects.filter(pk=job.params["report"]).exclude(state=Report.State.ISSUED).update(state=Report.State.FAILED)


@job_kind("report.issue", title="Writing the report", queue="cpu", ended=mark_ended)
def write_report(run: JobRun) -> None:
    """Collects the facts, lays them out, stores both files, and says so in the log: all of it or nothing."""
    from audits.report.document import render_pdf

    report = Report.objects.select_related("audit__plan__version__dataset").get(pk=run.params["report"])
    if report.state == Report.State.ISSUED:
        return  # an attempt before this one was killed after its work was done
    Report.objects.filter(pk=report.pk).update(state=Report.State.QUEUED)
    run.progress(0, 3, "collecting the facts")
    issued_at = timezone.now()
    facts = collect(report, issued_at)
    run.progress(1, 3, "laying out the document")
    pdf, json = render_pdf(facts, fonts=settings.REPORT_FONTS), facts.to_json()
    run.progress(2, 3, "storing the files")
    _store(report.pdf, f"{report.number}.pdf", pdf)
    _store(report.json, f"{report.number}.json", json)
    digests = {"pdf": hashlib.sha256(pdf).hexdigest(), "json": hashlib.sha256(json).hexdigest()}
    with transaction.atomic():
        run.checkpoint()
        report.pdf_sha256, report.json_sha256 = digests["pdf"], digests["json"]
        report.issued_at, report.state = issued_at, Report.State.ISSUED
        report.save()
        for organisation in report.audit.organisations:
            log.record("report.issued", report, organisation=organisation, by=report.created_by, digests=digests)


def _store(field: FieldFile, name: str, content: bytes) -> None:
    """Under a name of its own each time; what a killed attempt left behind is never taken for the report."""
    field.save(name, ContentFile(content), save=False)
