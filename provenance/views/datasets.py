"""Datasets: the list, registering, one dataset with its versions and grants."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Prefetch, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from provenance.errors import TouchmarkError
from provenance.forms.datasets import DatasetForm, GrantForm, SourceForm
from provenance.models import Dataset, DatasetGrant, LogEntry, Role, User, Version
from provenance.services import datasets as service
from provenance.services import uploads
from provenance.services.access import get_visible, person, person_with
from provenance.services.jobs.cards import job_card

PAGE_SIZE = 25
TIMELINE = 30


@require_GET
def dataset_list(request: HttpRequest) -> HttpResponse:
    user = person(request)
    wanted = request.GET.get("q", "").strip()
    datasets = Dataset.objects.for_user(user).select_related("organisation")
    # Facts may name a hundred thousand labels; lists show none of them.
    datasets = datasets.prefetch_related(Prefetch("versions", Version.objects.defer("facts")))
    if wanted:
        datasets = datasets.filter(
            Q(name__icontains=wanted) | Q(description__icontains=wanted) | Q(organisation__name__icontains=wanted)
        )
    page = Paginator(datasets, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "q": wanted,
        "may_register": user.organisations(Role.RIGHTS_HOLDER).exists(),
        "several": user.organisations().count() > 1 or any(d.organisation_id != page[0].organisation_id for d in page),
    }
    return render(request, "datasets/dataset_list.html", context)


def dataset_new(request: HttpRequest) -> HttpResponse:
    user = person_with(request, Role.RIGHTS_HOLDER, "Only a rights-holder may register a dataset.")
    form = DatasetForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        about = {name: values[name] for name in ("name", "modality", "licence", "contact", "description")}
        try:
            version = service.register(values["organisation"], source=form.source(), by=user, **about)
        except TouchmarkError as error:
            form.add_error(None, error.sentence)
        else:
            messages.success(request, f"{version.dataset.name} is registered. Its files are being read.")
            return redirect("version_detail", pk=version.pk)
    return render(request, "datasets/dataset_new.html", {"form": form, **_upload_context(user)})


@require_GET
def dataset_detail(request: HttpRequest, pk: str) -> HttpResponse:
    user = person(request)
    dataset = get_visible(Dataset, user, pk)
    return render(request, "datasets/dataset_detail.html", _detail(dataset, user, GrantForm()))


def version_new(request: HttpRequest, pk: str) -> HttpResponse:
    user = person(request)
    dataset = _owned(request, pk)
    last = dataset.versions.order_by("-number").first()
    initial = {"labels": last.labels, "labels_file": last.labels_file or "labels.csv"} if last else {}
    form = SourceForm(request.POST or None, user=user, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            version = service.add_version(dataset, form.source(), by=user)
        except TouchmarkError as error:
            form.add_error(None, error.sentence)
        else:
            messages.success(request, f"Version {version.number} is being read.")
            return redirect("version_detail", pk=version.pk)
    context = {"form": form, "dataset": dataset, **_upload_context(user)}
    return render(request, "datasets/version_new.html", context)


@require_POST
def dataset_grant(request: HttpRequest, pk: str) -> HttpResponse:
    user = person(request)
    dataset = _owned(request, pk)
    form = GrantForm(request.POST)
    if form.is_valid():
        try:
            granted = service.grant(dataset, form.cleaned_data["username"], by=user)
        except TouchmarkError as error:
            form.add_error("username", error.sentence)
        else:
            messages.success(request, f"{granted.auditor.display_name} may now plan audits on {dataset.name}.")
            return redirect("dataset_detail", pk=dataset.pk)
    return render(request, "datasets/dataset_detail.html", _detail(dataset, user, form))


@require_POST
def dataset_revoke(request: HttpRequest, pk: str, grant: int) -> HttpResponse:
    dataset = _owned(request, pk)
    granted = get_object_or_404(DatasetGrant, dataset=dataset, pk=grant)
    service.revoke(granted, by=person(request))
    messages.success(request, f"The grant to {granted.auditor.display_name} is taken back.")
    return redirect("dataset_detail", pk=dataset.pk)


def _owned(request: HttpRequest, pk: str) -> Dataset:
    """404 for datasets that the person may not see, 403 for those they may see but not change."""
    dataset = get_visible(Dataset, person(request), pk)
    if not person(request).has_role(dataset.organisation, Role.RIGHTS_HOLDER):
        raise PermissionDenied(f"Only a rights-holder of {dataset.organisation} may do this.")
    return dataset


def _detail(dataset: Dataset, user: User, form: GrantForm) -> dict[str, Any]:
    versions = list(dataset.versions.select_related("job").defer("facts").order_by("-number"))
    entries = LogEntry.objects.for_user(user).about(dataset, *versions).order_by("-seq")
    arriving = next((v.job for v in versions if v.state != Version.State.READY), None)
    return {
        "dataset": dataset,
        "versions": versions,
        "card": None if arriving is None or arriving.is_finished else job_card(arriving, user),
        "grants": dataset.grants.select_related("auditor", "granted_by").order_by("granted_at"),
        "grant_form": form,
        "may_change": user.has_role(dataset.organisation, Role.RIGHTS_HOLDER),
        "entries": entries[:TIMELINE],
    }


def _upload_context(user: User) -> dict[str, Any]:
    return {
        "unfinished": uploads.unfinished(user),
        "chunk_bytes": settings.UPLOAD_CHUNK_BYTES,
        "server_roots": service.server_roots(),
    }
