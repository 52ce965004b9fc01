"""Training runs of our own: list, a new one, and one with its curve."""

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from audits.forms.trainings import TrainingForm
from audits.models import RegisteredModel, Training
from audits.services.trainings import shown
from audits.services.trainings import starting as service
from provenance.errors import TouchmarkError
from provenance.models import Role
from provenance.services.access import get_visible, person, person_with
from provenance.services.jobs.cards import job_card

PAGE_SIZE = 25
ONLY = "Only auditors train models."


@require_GET
def training_list(request: HttpRequest) -> HttpResponse:
    user = person(request)
    page = Paginator(shown.visible(user), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"page": page, "may_start": user.organisations(Role.AUDITOR).exists()}
    return render(request, "trainings/training_list.html", context)


@require_http_methods(["GET", "POST"])
def training_new(request: HttpRequest) -> HttpResponse:
    user = person_with(request, [Role.AUDITOR], ONLY)
    if request.method == "GET":
        return _form(request, TrainingForm(user=user, initial={"version": request.GET.get("version", "")}))
    form = TrainingForm(request.POST, user=user)
    if form.is_valid():
        wanted = {
            name: form.cleaned_data[name] for name in ("release", "settings", "becomes", "class_names", "begin_with")
        }
        try:
            training = service.start(form.cleaned_data["name"], form.cleaned_data["version"], by=user, **wanted)
        except TouchmarkError as error:
            form.add_error(None, error.sentence)
        else:
            return redirect("training_detail", pk=training.pk)
    return _form(request, form)


def _form(request: HttpRequest, form: TrainingForm) -> HttpResponse:
    has_versions = form.fields["version"].queryset.exists()  # type: ignore[attr-defined]
    found = {name: form.found(name) for name in TrainingForm.SEARCHED}
    context = {"form": form, "found": found, "has_versions": has_versions}
    return render(request, "trainings/training_new.html", context, status=422 if form.is_bound else 200)


@require_GET
def training_choices(request: HttpRequest, name: str) -> HttpResponse:
    """Rows that one field of the form may take: those that fit a search, or the whole field for another version."""
    user = person_with(request, [Role.AUDITOR], ONLY)
    if name not in TrainingForm.SEARCHED:
        raise Http404("No such choice.")
    form, whole = TrainingForm(initial=request.GET.dict(), user=user), request.GET.get("whole", "")
    text = "" if whole else request.GET.get(f"{name}_search", "")
    context = {"field": form[name], "found": form.found(name, text), "choices_url": request.path, "anew_on": whole}
    return render(request, "components/searched.html" if whole else "components/found.html", context)


@require_GET
def training_detail(request: HttpRequest, pk: str) -> HttpResponse:
    training = get_visible(Training, person(request), pk)
    context = {
        "training": training,
        "card": job_card(training.job, person(request)),
        "becomes": RegisteredModel.ModelRole(training.settings["becomes"]).label,
        "facts": shown.facts(training),
        "chart": shown.curve_chart(training) if training.curve else None,
    }
    return render(request, "trainings/training_detail.html", context)


@require_GET
def training_curve(request: HttpRequest, pk: str) -> HttpResponse:
    """The chart alone, asked for again and again while a training runs."""
    training = get_visible(Training, person(request), pk)
    chart = shown.curve_chart(training) if training.curve else None
    return render(request, "trainings/training_curve.html", {"chart": chart})
