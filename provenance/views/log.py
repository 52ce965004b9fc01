"""The evidence log as a timeline, and the check of its chain."""

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from provenance.forms.log import LogFilterForm
from provenance.models import LogEntry, Organisation
from provenance.models.log import LogQuerySet
from provenance.services import log
from provenance.services.access import get_visible, person

PAGE_SIZE = 50
# Above this the check would keep a person waiting; the command does it without haste.
CHECK_ON_PAGE = 50_000


@require_GET
def log_list(request: HttpRequest) -> HttpResponse:
    organisations = Organisation.objects.for_user(person(request)).order_by("name")
    form = LogFilterForm(request.GET, organisations=organisations)
    wanted = form.cleaned_data if form.is_valid() else {}
    organisation = wanted.get("organisation") or organisations.first()
    entries = LogEntry.objects.for_user(person(request)).filter(organisation=organisation)
    page = Paginator(_filtered(entries, wanted).order_by("-seq"), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "organisation": organisation,
        "form": form,
        "filtered": any(wanted.get(name) for name in ("text", "noun", "since", "until")),
        "page": page,
    }
    return render(request, "log/log_list.html", context)


@require_GET
def log_entry(request: HttpRequest, organisation: str, seq: int) -> HttpResponse:
    """One entry with everything that is hashed."""
    visible = LogEntry.objects.for_user(person(request))
    entry = get_object_or_404(visible.select_related("organisation"), organisation=organisation, seq=seq)
    fields = log.core_entry(entry).body()
    return render(request, "log/log_entry.html", {"entry": entry, "fields": fields})


@require_GET
def log_check(request: HttpRequest, organisation: str) -> HttpResponse:
    """The part of the page that says whether the chain is intact; loaded after the page, because it reads every row."""
    own = get_visible(Organisation, person(request), organisation)
    result = log.check(own) if own.log_seq <= CHECK_ON_PAGE else None
    return render(request, "log/check.html", {"organisation": own, "result": result})


def _filtered(entries: LogQuerySet, wanted: dict[str, object]) -> LogQuerySet:
    if text := wanted.get("text"):
        entries = entries.filter(
            Q(subject_label__icontains=text) | Q(actor_name__icontains=text) | Q(subject_id=text) | Q(hash=text)
        )
    if noun := wanted.get("noun"):
        entries = entries.filter(verb__startswith=f"{noun}.")
    if since := wanted.get("since"):
        entries = entries.filter(at__date__gte=since)
    if until := wanted.get("until"):
        entries = entries.filter(at__date__lte=until)
    return entries
