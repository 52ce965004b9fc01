"""The administrator's view of the machine: queues, workers, running jobs, storage, versions."""

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from provenance.models import Job, Role, WorkerSeen
from provenance.services import status as service
from provenance.services.access import person
from provenance.services.jobs.cards import titled

PAGE_SIZE = 25


@require_GET
def status(request: HttpRequest) -> HttpResponse:
    """The whole page, or (asked by htmx) the part that moves."""
    administered = person(request).organisations(Role.ADMINISTRATOR)
    if not administered.exists():
        raise PermissionDenied("Only an administrator may see the status page.")
    visible = Job.objects.filter(organisation__in=administered)
    context: dict[str, object] = {
        "queues": service.queue_states(),
        "workers": WorkerSeen.objects.order_by("-seen_at")[:20],
        "running": titled(visible.filter(state=Job.State.RUNNING).select_related("created_by")),
    }
    if request.headers.get("HX-Request"):
        return render(request, "status/live.html", context)
    state = request.GET.get("state", "")
    chosen = visible.filter(state=state) if state in Job.State.values else visible
    page = Paginator(chosen.select_related("created_by"), PAGE_SIZE).get_page(request.GET.get("page"))
    free, total = service.disk_free()
    context |= {
        "state": state,
        "states": Job.State.choices,
        "page": page,
        "jobs": titled(page.object_list),
        "storage": [service.storage_use(organisation) for organisation in administered],
        "disk_free": free,
        "disk_total": total,
        "installation": service.installation(),
    }
    return render(request, "status/status.html", context)
