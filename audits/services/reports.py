"""Evidence reports: issued from a finished audit as PDF and JSON, kept with their digests, handed out unchanged."""

import hashlib
import uuid
from collections.abc import Iterable

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.files.base import ContentFile
from django.db import models, transaction
from django.db.models.fields.files import FieldFile
from django.utils import timezone

from audits.models import Audit, Report
from audits.report.facts import FactsError, ReportFacts
from audits.services.audits import organisations_of
from audits.services.report_facts import collect, may_issue
from provenance.errors import TouchmarkError
from provenance.models import Job, Organisation, User
from provenance.services import jobs, log
from provenance.services.jobs import JobRun, job_kind


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
    report.job = jobs.enqueue("report.issue", report, organisation=owner, by=by, params={"report": str(report.pk)})
    report.save(update_fields=["job"])
    return report


def number_of(pk: uuid.UUID) -> str:
    """The number printed on every page; it tells a reader the day and nothing about other reports."""
    return f"TM-{timezone.now():%Y%m%d}-{pk.hex[:8].upper()}"


def mark_ended(job: Job) -> None:
    Report.objects.filter(pk=job.params["report"]).exclude(state=Report.State.ISSUED).update(state=Report.State.FAILED)


@job_kind("report.issue", queue="cpu", ended=mark_ended)
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
        for organisation in organisations_of(report.audit):
            log.record("report.issued", report, organisation=organisation, by=report.created_by, digests=digests)


def _store(field: FieldFile, name: str, content: bytes) -> None:
    """Under a name of its own each time; what a killed attempt left behind is never taken for the report."""
    field.save(name, ContentFile(content), save=False)


def hand_out(report: Report, kind: str, *, by: User) -> bytes:
    """The bytes of the "pdf" or "json" as they were issued. Raises ReportError if the stored file was altered."""
    if report.state != Report.State.ISSUED:
        raise ReportError("This report is not issued yet, so there is nothing to download.")
    field, digest = (report.pdf, report.pdf_sha256) if kind == "pdf" else (report.json, report.json_sha256)
    try:
        with field.open("rb") as stream:
            content = stream.read()
    except OSError as error:
        raise ReportError(
            "The stored file of this report cannot be read. Ask the administrator.", str(error)
        ) from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise ReportError(
            "The stored file is not the one that was issued: it was altered. Do not use it, and tell the administrator."
        )
    owner = report.audit.plan.version.dataset.organisation
    log.record("report.downloaded", report, organisation=owner, by=by, digests={kind: digest})
    return content


def reports_visible(user: User) -> "models.QuerySet[Report]":
    """The person's reports for lists, newest first, with what the lines name."""
    named = "audit__plan__version__dataset", "audit__plan__suspect", "created_by"
    return Report.objects.for_user(user).select_related(*named).order_by("-created_at")


def found(reports: "models.QuerySet[Report]", text: str) -> "models.QuerySet[Report]":
    """Reports whose number, dataset, suspect or recipient contains the text."""
    wanted = models.Q(number__icontains=text)
    wanted |= models.Q(audit__plan__version__dataset__name__icontains=text)
    wanted |= models.Q(audit__plan__suspect__name__icontains=text)
    wanted |= models.Q(audit__rows__release__recipient__icontains=text)
    return reports.filter(wanted).distinct()


def facts_of(report: Report) -> ReportFacts:
    """The facts as they were issued, read from the stored JSON."""
    with report.json.open("rb") as stream:
        return ReportFacts.from_json(stream.read())


def published_heads(organisation: Organisation) -> tuple[dict[int, str], list[str]]:
    """The log's hashes that issued reports print, by row number; and the reports whose stored file cannot be read.

    Whoever rewrites a log from some row on cannot rewrite the reports that have left the house. Here our own copies
    of them are read; `check_log --published` takes hashes from paper.
    """
    heads: dict[int, str] = {}
    unreadable: list[str] = []
    mine = models.Q(audit__plan__organisation=organisation)
    mine |= models.Q(audit__plan__version__dataset__organisation=organisation)
    for report in Report.objects.filter(mine, state=Report.State.ISSUED).order_by("issued_at").iterator():
        try:
            extracts: Iterable = facts_of(report).logs
        except (OSError, FactsError):
            unreadable.append(report.number)
            continue
        for extract in extracts:
            if extract.organisation_id == str(organisation.pk) and extract.head_seq and extract.intact:
                heads.setdefault(extract.head_seq, extract.head)
    return heads, unreadable
