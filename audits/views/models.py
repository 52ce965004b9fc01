"""Suspects, references and encoders: list, registration, detail, connection test."""

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audits.forms.models import DescriptionForm, RegistrationForm, initial_of
from audits.models import Plan, RegisteredModel
from audits.services.models import connection
from audits.services.models import registering as service
from audits.services.models.errors import RegistrationError
from audits.services.models.identity import names_seen_by
from audits.suspects import catalogue
from provenance.errors import TouchmarkError
from provenance.models import Job, LogEntry, Role
from provenance.services import uploads
from provenance.services.access import get_visible, person, require
from provenance.services.jobs.cards import job_card

PAGE_SIZE = 25
KEEPERS = (Role.AUDITOR, Role.RIGHTS_HOLDER)
SHOWN_ARCHITECTURES = 12
COMMON = ("timm:resnet50", "timm:vit_base_patch16_224", "open_clip:ViT-B-32", "open_clip:custom", "cifar_resnet:20",
          "small_resnet:16", "onnx")  # fmt: skip


@require_GET
def model_list(request: HttpRequest) -> HttpResponse:
    user, text, role = person(request), request.GET.get("q", "").strip(), request.GET.get("role", "")
    visible = RegisteredModel.objects.for_user(user).select_related("organisation")
    if role in RegisteredModel.ModelRole.values:
        visible = visible.filter(role=role)
    page = Paginator(service.found(visible, text) if text else visible, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "text": text,
        "role": role,
        "kept": [("role", role)] if role else [],
        "may_register": user.organisations(*KEEPERS).exists(),
    }
    return render(request, "models/model_list.html", context)


@require_http_methods(["GET", "POST"])
def model_new(request: HttpRequest) -> HttpResponse:
    user = person(request)
    if not user.organisations(*KEEPERS).exists():
        raise PermissionDenied("Only an auditor may register models, and a rights-holder encoders.")
    initial = {"role": request.GET["role"]} if "role" in request.GET else {}
    form = RegistrationForm(request.POST or None, user=user, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            model = _registered(form)
        except TouchmarkError as error:
            form.add_error(None, error.sentence)
        else:
            messages.success(request, f"{model.name} is being taken in; its connection is tested right after.")
            return redirect("model_detail", pk=model.pk)
    context = {"form": form, "chunk_bytes": settings.UPLOAD_CHUNK_BYTES, "unfinished": uploads.unfinished(user)}
    return render(request, "models/model_new.html", context | _choices(form))


def _registered(form: RegistrationForm) -> RegisteredModel:
    organisation, place = form.cleaned_data["organisation"], form.cleaned_data.get("server_path")
    if place:
        return service.register_server_file(organisation, form.registration, place, by=form.user)
    upload = form.chosen_upload
    if upload is None:
        raise RegistrationError("This upload is not there any more; choose the file again.")
    return service.register_upload(organisation, form.registration, upload, by=form.user)


@require_GET
def model_detail(request: HttpRequest, pk: str) -> HttpResponse:
    user = person(request)
    model = get_visible(RegisteredModel, user, pk)
    arrival = Job.objects.about(model).filter(kind="model.take_weights").first()
    job = model.connection_job if model.state == RegisteredModel.State.READY else arrival
    context = {
        "model": model,
        "spec": model.model_spec,
        "card": job_card(job, user),
        "plans": _plans(model).filter(pk__in=Plan.objects.for_user(user)).select_related("version__dataset")[:20],
        "log_entries": LogEntry.objects.for_user(user).about(model).reverse(),
        "may_change": user.has_role(model.organisation, model.keeper),
        "is_frozen": service.is_frozen(model),
        "known": names_seen_by(model, user),
    }
    return render(request, "models/model_detail.html", context)


@require_POST
def model_test(request: HttpRequest, pk: str) -> HttpResponse:
    model = get_visible(RegisteredModel, person(request), pk)
    try:
        connection.test_connection(model, by=person(request))
    except TouchmarkError as error:
        messages.error(request, error.sentence)
    return redirect("model_detail", pk=model.pk)


@require_http_methods(["GET", "POST"])
def model_describe(request: HttpRequest, pk: str) -> HttpResponse:
    model = get_visible(RegisteredModel, person(request), pk)
    require(person(request), model.organisation, model.keeper)
    form = DescriptionForm(request.POST or None, initial=initial_of(model.model_spec))
    if request.method == "POST" and form.is_valid():
        try:
            service.describe(model, form.spec, by=person(request))
        except TouchmarkError as error:
            form.add_error(None, error.sentence)
        else:
            messages.success(request, "The description is changed; the connection is tested anew.")
            return redirect("model_detail", pk=model.pk)
    return render(request, "models/model_describe.html", {"form": form, "model": model, **_choices(form)})


@require_GET
def architecture_search(request: HttpRequest) -> HttpResponse:
    """The list of radio buttons for a search text; the chosen one stays in it."""
    text, chosen = request.GET.get("architecture_search", ""), request.GET.get("architecture", "")
    return render(request, "models/architectures.html", _found(text, chosen))


def _choices(form: DescriptionForm) -> dict[str, object]:
    return _found("", str(form["architecture"].value() or ""))


def _found(text: str, chosen: str) -> dict[str, object]:
    known = {architecture.name: architecture for architecture in catalogue.architectures()}
    fitting = catalogue.search(text, SHOWN_ARCHITECTURES + 1) if text.strip() else [known[name] for name in COMMON]
    found, is_cut = fitting[:SHOWN_ARCHITECTURES], len(fitting) > SHOWN_ARCHITECTURES
    if chosen in known and chosen not in {architecture.name for architecture in found}:
        found = [known[chosen], *found]
    return {"found": found, "chosen": chosen, "searched": text.strip(), "total": len(known), "is_cut": is_cut}


def _plans(model: RegisteredModel) -> "QuerySet[Plan]":
    """Plans that name the model, newest first."""
    return Plan.objects.filter(Q(suspect=model) | Q(references=model)).distinct().order_by("-created_at")
