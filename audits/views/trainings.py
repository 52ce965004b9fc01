"""Training runs of our own: list and detail."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from audits.models import RegisteredModel, Training
from audits.services.trainings import shown
from provenance.services.access import get_visible, person
from provenance.services.jobs.cards import job_card

PAGE_SIZE = 25


@require_GET
def training_list(request: HttpRequest) -> HttpResponse:
    trainings = shown.visible(person(request))
    page = Paginator(trainings, PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "trainings/training_list.html", {"page": page})


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
