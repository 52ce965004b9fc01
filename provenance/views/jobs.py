"""Job cards: the piece of a page that moves while work is done."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from provenance.models import Job
from provenance.services.access import get_visible, person
from provenance.services.jobs import cards, queue


@require_GET
def job_detail(request: HttpRequest, pk: str) -> HttpResponse:
    job = get_visible(Job, person(request), pk)
    return render(request, "jobs/job_detail.html", {"job": job, "card": cards.job_card(job, person(request))})


@require_GET
def job_card(request: HttpRequest, pk: str) -> HttpResponse:
    """The card alone, polled by htmx; once the job has ended the whole page is loaded anew, once."""
    job = get_visible(Job, person(request), pk)
    response = render(request, "components/job_card.html", {"card": cards.job_card(job, person(request))})
    if job.is_finished:
        response["HX-Refresh"] = "true"
    return response


@require_POST
def job_cancel(request: HttpRequest, pk: str) -> HttpResponse:
    queue.cancel(get_visible(Job, person(request), pk), by=person(request))
    return _back(request, pk)


@require_POST
def job_retry(request: HttpRequest, pk: str) -> HttpResponse:
    queue.retry(get_visible(Job, person(request), pk), by=person(request))
    return _back(request, pk)


def _back(request: HttpRequest, pk: str) -> HttpResponse:
    target = request.POST.get("next", "")
    if target and url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        return redirect(target)
    return redirect("job_detail", pk=pk)
