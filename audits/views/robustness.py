"""Tables of robustness: list, a new one with its cost, one with its lines and chart, its JSON."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from audits.forms.robustness import RobustnessForm
from audits.judging.bases import BY_CAPTION, SAYS
from audits.models import Robustness
from audits.services.robustness import shown
from audits.services.robustness import starting as service
from provenance.errors import TouchmarkError
from provenance.services.access import get_visible, person, person_with
from provenance.services.jobs.cards import job_card

PAGE_SIZE = 25
ONLY = "Only rights-holders and auditors measure robustness."


@require_GET
def robustness_list(request: HttpRequest) -> HttpResponse:
    user = person(request)
    page = Paginator(service.visible(user), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"page": page, "may_start": user.organisations(*service.ROLES).exists()}
    return render(request, "robustness/robustness_list.html", context)


@require_http_methods(["GET", "POST"])
def robustness_new(request: HttpRequest) -> HttpResponse:
    user = person_with(request, service.ROLES, ONLY)
    if request.method == "GET":
        filled = {name: value for name, value in request.GET.items() if name != "attacks"}
        form = RobustnessForm(user=user, initial=filled)
        return render(request, "robustness/robustness_new.html", {"form": form})
    form = RobustnessForm(request.POST, user=user)
    if form.is_valid():
        try:
            made = service.start(form.cleaned_data["organisation"], form.wanted, by=user)
        except TouchmarkError as error:
            form.add_error(None, error.sentence)
        else:
            return redirect("robustness_detail", pk=made.pk)
    return render(request, "robustness/robustness_new.html", {"form": form}, status=422)


@require_GET
def robustness_cost(request: HttpRequest) -> HttpResponse:
    """The box that moves with the form."""
    user = person_with(request, service.ROLES, ONLY)
    form = RobustnessForm(request.GET, user=user)
    context = {"cost": shown.cost(form.wanted)} if form.is_valid() else {"form": form}
    return render(request, "robustness/cost.html", context)


@require_GET
def robustness_detail(request: HttpRequest, pk: str) -> HttpResponse:
    made = get_visible(Robustness, person(request), pk)
    table = shown.table_by_now(made)
    context = {
        "made": made,
        "card": job_card(made.job, person(request)),
        "facts": shown.facts(made),
        "bases": table.bases if table else [],
        "about_captions": SAYS if table and BY_CAPTION in table.bases else "",
        "lines": shown.lines(table) if table else [],
        "chart": shown.chart(table) if table else None,
    }
    return render(request, "robustness/robustness_detail.html", context)


@require_GET
def robustness_json(request: HttpRequest, pk: str) -> JsonResponse:
    """The whole table with every row, for machines."""
    made = get_visible(Robustness, person(request), pk)
    answer = JsonResponse(shown.as_json(made), json_dumps_params={"ensure_ascii": False})
    answer["Content-Disposition"] = f'attachment; filename="robustness-{str(made.pk)[:8]}.json"'
    return answer
