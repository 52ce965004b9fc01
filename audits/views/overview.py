"""The first page: the journey, what is running, what was found. It lives here because it shows both apps."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from audits.models import Audit
from audits.services.overview import journey
from provenance.models import Job, LogEntry
from provenance.services.access import person
from provenance.services.jobs.cards import job_card


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    user = person(request)
    unfinished = Job.objects.for_user(user).unfinished().order_by("created_at")
    audits = Audit.objects.for_user(user).select_related("plan__suspect", "plan__version__dataset")
    context = {
        "steps": journey(user),
        "organisations": user.organisations(),
        "cards": [job_card(job, user) for job in unfinished[:3]],
        "jobs_more": max(0, unfinished.count() - 3),
        "audits": audits[:6],
        "entries": LogEntry.objects.for_user(user).order_by("-at", "-seq")[:8],
    }
    return render(request, "overview/overview.html", context)
