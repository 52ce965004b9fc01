"""Issued reports: found, handed out unchanged, and asked for the hashes of the log that they print."""

import hashlib
from collections.abc import Iterable

from django.db import models

from audits.models import Report
from audits.report.facts import FactsError, ReportFacts
from audits.services.reports.issuing import ReportError
from provenance.models import Organisation, User
from provenance.services import log


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
