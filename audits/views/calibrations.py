"""Calibrations: list, a new one with its cost, one with its table and plots, its JSON."""

from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from audits.calibration import CalibrationTable
from audits.calibration.table import ALPHAS
from audits.forms.calibrations import CalibrationForm
from audits.models import Calibration
from audits.services.calibrations import charts, notes
from audits.services.calibrations import starting as service
from provenance import wording
from provenance.errors import TouchmarkError
from provenance.services.access import get_visible, person, person_with
from provenance.services.jobs.cards import job_card

PAGE_SIZE = 25
ONLY = "Only auditors and administrators calibrate."


@require_GET
def calibration_list(request: HttpRequest) -> HttpResponse:
    user = person(request)
    newest = service.visible(user).filter(state=Calibration.State.DONE).order_by("-finished_at").first()
    page = Paginator(service.visible(user), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "current": {calibration.pk for calibration in page.object_list if service.is_current(calibration)},
        "newest": newest,
        "is_current": newest is not None and service.is_current(newest),
        "may_start": user.organisations(*service.ROLES).exists(),
    }
    return render(request, "calibrations/calibration_list.html", context)


@require_http_methods(["GET", "POST"])
def calibration_new(request: HttpRequest) -> HttpResponse:
    user = person_with(request, service.ROLES, ONLY)
    if request.method == "GET":
        return render(request, "calibrations/calibration_new.html", {"form": CalibrationForm(user=user)})
    form = CalibrationForm(request.POST, user=user)
    if form.is_valid():
        try:
            calibration = service.start(form.cleaned_data["organisation"], form.wanted, by=user)
        except TouchmarkError as error:
            form.add_error(None, error.sentence)
        else:
            return redirect("calibration_detail", pk=calibration.pk)
    return render(request, "calibrations/calibration_new.html", {"form": form}, status=422)


@require_GET
def calibration_cost(request: HttpRequest) -> HttpResponse:
    """The box that moves with the form."""
    user = person_with(request, service.ROLES, ONLY)
    form = CalibrationForm(request.GET, user=user)
    context = {"cost": service.cost(form.wanted)} if form.is_valid() else {"form": form}
    return render(request, "calibrations/cost.html", context)


@require_GET
def calibration_detail(request: HttpRequest, pk: str) -> HttpResponse:
    calibration = get_visible(Calibration, person(request), pk)
    context: dict[str, Any] = {
        "calibration": calibration,
        "card": job_card(calibration.job, person(request)),
        "families_asked": calibration.settings["families"],
        "settings": calibration.settings["core"],
        "references": calibration.references.order_by("name"),
        "is_current": service.is_current(calibration),
    }
    if calibration.state == Calibration.State.DONE:
        context |= _shown(request, service.table_of(calibration), calibration.settings["families"])
    return render(request, "calibrations/calibration_detail.html", context)


def _shown(request: HttpRequest, table: CalibrationTable, families: list[str]) -> dict[str, Any]:
    """Tables of one family, and the plot of one of its tests at one level."""
    family = _chosen(request, "family", families)
    rows = [row for row in table.rows if row.family == family]
    exact, naive = [row for row in rows if row.exact], [row for row in rows if not row.exact]
    test = _chosen(request, "test", [row.test for row in rows])
    levels = list(dict.fromkeys(row.level for row in rows if row.test == test))
    level = _chosen(request, "level", levels)
    return {
        "table": table,
        "sentence": notes.sentence(table),
        "others_sentence": notes.others_sentence(table),
        "alphas": ALPHAS,
        "family": family,
        "exact_tests": list(dict.fromkeys(row.test for row in exact)),
        "other_tests": list(dict.fromkeys(row.test for row in naive)),
        "test": test,
        "levels": levels,
        "level": level,
        "exact": notes.by_test(exact),
        "others": notes.by_test(naive),
        "plot": charts.qq_plot([row for row in rows if (row.test, row.level) == (test, level)]),
    }


def _chosen(request: HttpRequest, name: str, choices: list[str]) -> str:
    wanted = request.GET.get(name, "")
    return wanted if wanted in choices else choices[0]


@require_GET
def calibration_json(request: HttpRequest, pk: str) -> JsonResponse:
    """The whole table with its quantiles, for machines."""
    calibration = get_visible(Calibration, person(request), pk)
    if calibration.state != Calibration.State.DONE:
        raise Http404("This calibration has no table yet.")
    content = {
        "id": str(calibration.pk),
        "code_version": calibration.code_version,
        "finished_at": calibration.finished_at.isoformat() if calibration.finished_at else None,
        "images": str(calibration.version) if calibration.version else "procedural scenes",
        "holds": calibration.holds,
        "error_rate": wording.verdict(calibration.holds),
        "table": calibration.table,
    }
    answer = JsonResponse(content, json_dumps_params={"ensure_ascii": False})
    answer["Content-Disposition"] = f'attachment; filename="calibration-{str(calibration.pk)[:8]}.json"'
    return answer
