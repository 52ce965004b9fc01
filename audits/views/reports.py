"""Evidence reports: list, detail, issue, download."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from audits.models import Audit, Report
from audits.services.reports import issued
from audits.services.reports import issuing as service
from provenance.errors import TouchmarkError
from provenance.models import LogEntry
from provenance.services.access import get_visible, person
from provenance.services.jobs.cards import job_card

PAGE_SIZE = 25
TYPES = {"pdf": "application/pdf", "json": "application/json"}


@require_GET
def report_list(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("q", "").strip()
    visible = issued.reports_visible(person(request))
    page = Paginator(issued.found(visible, text) if text else visible, PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "reports/report_list.html", {"page": page, "text": text})


@require_GET
def report_detail(request: HttpRequest, pk: str) -> HttpResponse:
    report = get_visible(Report, person(request), pk)
    context = {
        "report": report,
        "card": job_card(report.job, person(request)),
        "audit": report.audit,
        "rows": report.audit.rows.select_related("release").order_by("release__recipient", "release"),
        "log_entries": LogEntry.objects.for_user(person(request)).about(report).reverse(),
    }
    return render(request, "reports/report_detail.html", context)


@require_POST
def report_issue(request: HttpRequest, audit: str) -> HttpResponse:
    subject = get_visible(Audit, person(request), audit)
    try:
        report = service.issue(subject, by=person(request))
    except TouchmarkError as error:
        messages.error(request, error.sentence)
        return redirect("audit_detail", pk=subject.pk)
    return redirect("report_detail", pk=report.pk)


@never_cache
@require_GET
def report_pdf(request: HttpRequest, pk: str) -> HttpResponse:
    return _download(request, pk, "pdf")


@never_cache
@require_GET
def report_json(request: HttpRequest, pk: str) -> HttpResponse:
    return _download(request, pk, "json")


def _download(request: HttpRequest, pk: str, kind: str) -> HttpResponse:
    report = get_visible(Report, person(request), pk)
    try:
        content = issued.hand_out(report, kind, by=person(request))
    except TouchmarkError as error:
        messages.error(request, error.sentence)
        return redirect("report_detail", pk=report.pk)
    response = HttpResponse(content, content_type=TYPES[kind])
    response["Content-Disposition"] = f'attachment; filename="{report.number}.{kind}"'
    return response
