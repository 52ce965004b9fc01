"""Pilots: list, a new one, one with its chart and tables, a single training of it, its JSON."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audits.forms.pilots import PilotForm
from audits.judging.bases import BASES
from audits.models import Pilot
from audits.services.models.registering import DECLARATION
from audits.services.pilots import charts, curves, shown, twins
from audits.services.pilots import starting as service
from audits.services.robustness import of_pilots
from provenance.errors import TouchmarkError
from provenance.models import Role
from provenance.services.access import get_visible, person, person_with
from provenance.services.jobs.cards import job_card

PAGE_SIZE = 25
ONLY = "Only rights-holders and auditors make pilots."


@require_GET
def pilot_list(request: HttpRequest) -> HttpResponse:
    user = person(request)
    page = Paginator(shown.visible(user), PAGE_SIZE).get_page(request.GET.get("page"))
    rows = [(pilot, shown.settings_of(pilot)) for pilot in page.object_list]
    context = {"page": page, "rows": rows, "may_start": user.organisations(*service.ROLES).exists()}
    return render(request, "pilots/pilot_list.html", context)


@require_http_methods(["GET", "POST"])
def pilot_new(request: HttpRequest) -> HttpResponse:
    user = person_with(request, service.ROLES, ONLY)
    context: dict[str, Any] = {"has_versions": service.may_pilot(user).exists()}
    if request.method == "GET":
        initial = {"version": request.GET.get("version", "")}
        return render(request, "pilots/pilot_new.html", context | {"form": PilotForm(user=user, initial=initial)})
    form = PilotForm(request.POST, user=user)
    if form.is_valid():
        try:
            pilot = service.start(form.cleaned_data["version"], form.wanted, by=user)
        except TouchmarkError as error:
            form.add_error(None, error.sentence)
        else:
            return redirect("pilot_detail", pk=pilot.pk)
    return render(request, "pilots/pilot_new.html", context | {"form": form}, status=422)


@require_GET
def pilot_detail(request: HttpRequest, pk: str) -> HttpResponse:
    return _page(request, get_visible(Pilot, person(request), pk))


def _page(request: HttpRequest, pilot: Pilot, refused: str = "") -> HttpResponse:
    """refused: why the form of twins was; it then keeps what was ticked."""
    user = person(request)
    settings = shown.settings_of(pilot)
    context: dict[str, Any] = {
        "pilot": pilot,
        "card": job_card(pilot.job, user),
        "facts": shown.facts(settings, user),
        "curves": curves.curves_chart(settings, pilot.curves),
    }
    if pilot.state == Pilot.State.DONE:
        told = shown.outcome(pilot)
        asked = request.GET.get("level", "")
        basis = next((one for one in BASES if one == asked and one in told["bases"]), BASES[0])
        context |= told | {
            "basis": basis,
            "twins": (offered := twins.twins_of(pilot)),
            "twins_left": any(twin.may_register for twin in offered),
            "twins_refused": refused,
            "ticked": request.POST.getlist("twin"),
            "is_declared": "declared" in request.POST,
            "declaration": DECLARATION,
            "may_register": user.has_role(pilot.organisation, Role.AUDITOR),
            "chart": charts.trade_off(settings, told["summaries"], basis),
            "growth": curves.growth_charts(told["summaries"]),
            "releases": [
                (proposal.title, address)
                for proposal in settings.proposals
                if (address := shown.release_address(pilot, proposal, user))
            ],
            "robustness": of_pilots.beginnings(pilot, user),
            "tables": of_pilots.tables_of(pilot, user),
        }
    return render(request, "pilots/pilot_detail.html", context, status=422 if refused else 200)


@require_POST
def pilot_twins(request: HttpRequest, pk: str) -> HttpResponse:
    """Chosen unmarked twins become references."""
    user = person(request)
    pilot = get_visible(Pilot, user, pk)
    try:
        twins.start(pilot, request.POST.getlist("twin"), declared="declared" in request.POST, by=user)
    except TouchmarkError as error:
        return _page(request, pilot, refused=error.sentence)
    messages.success(request, "They are being registered and tested; they stand among the models in a moment.")
    return redirect("pilot_detail", pk=pilot.pk)


@require_GET
def pilot_curves(request: HttpRequest, pk: str) -> HttpResponse:
    """The chart alone, asked for again and again while a pilot runs."""
    pilot = get_visible(Pilot, person(request), pk)
    drawn = curves.curves_chart(shown.settings_of(pilot), pilot.curves)
    return render(request, "pilots/curves.html", {"curves": drawn})


@require_GET
def pilot_line(request: HttpRequest, pk: str, name: str) -> HttpResponse:
    """A single training of a finished pilot."""
    pilot = get_visible(Pilot, person(request), pk)
    settings, found = shown.settings_of(pilot), shown.found_of(pilot)
    line = next((one for one in found.lines if one.line.name == name), None) if found else None
    if line is None:
        raise Http404("No such training of this pilot.")
    context = {
        "pilot": pilot,
        "line": line,
        "title": shown.line_title(settings, line.line),
        "curves": curves.curves_chart(settings, {name: line.curve}),
        "rows": shown.level_rows(line),
        "columns": shown.LEVEL_COLUMNS,
    }
    return render(request, "pilots/pilot_line.html", context)


@require_GET
def pilot_json(request: HttpRequest, pk: str) -> JsonResponse:
    """Settings and numbers, for machines."""
    pilot = get_visible(Pilot, person(request), pk)
    if pilot.state != Pilot.State.DONE:
        raise Http404("This pilot has no numbers yet.")
    answer = JsonResponse(shown.as_json(pilot), json_dumps_params={"ensure_ascii": False})
    answer["Content-Disposition"] = f'attachment; filename="pilot-{str(pilot.pk)[:8]}.json"'
    return answer
