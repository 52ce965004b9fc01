"""Images grouped by an encoder: list, a new run with its cost, one run with its sizes and pictures."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from audits.forms.clusterings import ClusteringForm, encoders_of
from audits.models import Clustering
from audits.services.clusterings import starting as service
from provenance.errors import TouchmarkError
from provenance.forms.releases import markable_versions
from provenance.models import Role, User
from provenance.services import clusters
from provenance.services.access import get_visible, person, person_with
from provenance.services.jobs.cards import job_card

PAGE_SIZE = 25
SHOWN_CLUSTERS = 10


@require_GET
def clustering_list(request: HttpRequest) -> HttpResponse:
    user = person(request)
    page = Paginator(service.visible(user), PAGE_SIZE).get_page(request.GET.get("page"))
    may_start = user.organisations(Role.RIGHTS_HOLDER).exists()
    return render(request, "clusterings/clustering_list.html", {"page": page, "may_start": may_start})


@require_http_methods(["GET", "POST"])
def clustering_new(request: HttpRequest) -> HttpResponse:
    user = _rights_holder(request)
    initial = {name: request.GET[name] for name in ("version", "encoder", "groups") if name in request.GET}
    form = ClusteringForm(request.POST or None, user=user, initial=initial)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            started = service.start(
                values["version"], values["encoder"], values["groups"], by=user, seed=values["seed"]
            )
        except TouchmarkError as error:
            form.add_error(None, error.sentence)
        else:
            messages.success(request, "The images are being grouped. You may leave this page.")
            return redirect("clustering_detail", pk=started.pk)
    context = {
        "form": form,
        "has_versions": markable_versions(user).exists(),
        "has_encoders": encoders_of(user).exists(),
    }
    return render(request, "clusterings/clustering_new.html", context)


@require_GET
def clustering_forecast(request: HttpRequest) -> HttpResponse:
    """The live part of the form: what it will cost."""
    form = ClusteringForm(request.GET, user=_rights_holder(request))
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        values = form.cleaned_data
        try:
            context["forecast"] = service.forecast(values["version"], values["encoder"], values["groups"])
        except TouchmarkError as error:
            form.add_error(None, error.sentence)
    return render(request, "clusterings/forecast.html", context)


@require_GET
def clustering_detail(request: HttpRequest, pk: str) -> HttpResponse:
    user = person(request)
    clustering = get_visible(Clustering, user, pk)
    owns = service.may_see_samples(clustering, user)
    context: dict[str, Any] = {
        "clustering": clustering,
        "card": job_card(clustering.job, user),
        "version": clustering.version,
        "kept": clustering.clusters,
        "facts": service.facts(clustering),
        "owns": owns,
        "entries": service.log_entries(clustering, user),
    }
    if clustering.clusters is not None:
        context["chart"] = service.sizes_chart(clustering)
        if owns:
            context |= _samples(request, clustering.clusters)
    return render(request, "clusterings/clustering_detail.html", context)


def _samples(request: HttpRequest, kept: clusters.Clusters) -> dict[str, Any]:
    """A page of clusters with a few pictures each; a sentence where the file is gone."""
    page = Paginator(range(len(kept.sizes)), SHOWN_CLUSTERS).get_page(request.GET.get("page"))
    first = page.start_index() - 1
    try:
        members = clusters.samples(kept, first, page.end_index())
    except TouchmarkError as error:
        return {"samples_missing": error.sentence}
    rows = zip(kept.names[first:], kept.sizes[first:], members, strict=False)
    return {"page": page, "rows": list(rows)}


def _rights_holder(request: HttpRequest) -> User:
    return person_with(request, Role.RIGHTS_HOLDER, "Only a rights-holder may group the images of a version.")
