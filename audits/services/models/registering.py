"""Suspects, references and owners' encoders: registered with their weights, described, tested, declared."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import timezone as offset
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.utils import timezone

from audits.models import Plan, RegisteredModel
from audits.services.models.connection import queue_test
from audits.services.models.errors import RegistrationError
from audits.services.models.storing import take_file
from audits.suspects import ConnectionReport, ModelSpec, SpecError
from audits.suspects.formats import ONNX, WeightsFacts, inspect
from provenance.models import Organisation, Upload, User
from provenance.services import uploads
from provenance.services.access import require
from provenance.services.jobs.queue import enqueue
from provenance.services.log import record

DECLARATION = (
    "I declare that, to the best of my knowledge, this model was not trained, in whole or in part, on any release of "
    "the datasets it is used as a reference for."
)

FIRST_ZONE = offset(timedelta(hours=14))


@dataclass(frozen=True)
class Registration:
    """What a person says about a model. `declared`: the reference's declaration was made. `published_on`: the day on
    which its weights, or the interface that they stand for, came out."""

    name: str
    role: str
    spec: ModelSpec
    origin: str = ""
    declared: bool = False
    published_on: date | None = None


def register_upload(
    organisation: Organisation, registration: Registration, upload: Upload, *, by: User
) -> RegisteredModel:
    """From a finished browser upload of the same person. Refuses what is no file of weights at once."""
    if upload.created_by_id != by.pk or upload.organisation_id != organisation.pk:
        raise PermissionDenied("This upload is somebody else's.")
    if upload.consumed or not upload.is_complete:
        raise RegistrationError("The upload is not complete. Wait for it to end, or choose the file again.")
    facts = _checked_file(upload.path, registration.spec)
    with transaction.atomic():
        uploads.consume(upload, by=by)
        return _register(organisation, registration, facts, upload.name, {"upload": str(upload.pk)}, by)


def register_server_file(
    organisation: Organisation, registration: Registration, place: str, *, by: User
) -> RegisteredModel:
    """From a file on the server under one of the allow-listed roots; it is copied, so it may change afterwards."""
    path = server_file(place)
    facts = _checked_file(path, registration.spec)
    return _register(organisation, registration, facts, path.name, {"path": str(path)}, by)


def register_local(
    organisation: Organisation,
    registration: Registration,
    path: Path,
    *,
    by: User,
    on_block: Callable[[int, int], None] | None = None,
) -> RegisteredModel:
    """From a file that a job of ours has just made: stored and logged before this returns, its test queued.

    For use inside jobs: it copies the file in the calling process.
    """
    facts = _checked_file(path, registration.spec)
    with transaction.atomic():
        model = _row(organisation, registration, facts, path.name, by)
    take_file(model, path, on_block or (lambda done, total: None))
    model.refresh_from_db()
    return model


def latest_day(now: datetime) -> date:
    """The day that it is where days begin first, so that nobody's today lies in the future."""
    return now.astimezone(FIRST_ZONE).date()


def server_file(place: str) -> Path:
    """The file a person named. Raises RegistrationError unless it lies under an allow-listed root, links resolved."""
    if not settings.SERVER_ROOTS:
        raise RegistrationError("This server allows no folders of its own; upload the file instead.")
    try:
        path = Path(place.strip()).resolve()
        allowed = any(path.is_relative_to(root) for root in settings.SERVER_ROOTS) and path.is_file()
    except (OSError, ValueError):
        allowed = False
    if not allowed:
        roots = ", ".join(str(root) for root in settings.SERVER_ROOTS)
        raise RegistrationError(f"There is no such file under the allowed folders ({roots}).")
    return path


@transaction.atomic
def describe(model: RegisteredModel, spec: ModelSpec, *, by: User) -> RegisteredModel:
    """Changes how a model is run, as long as no locked plan names it, and queues a new connection test."""
    require(by, model.organisation, model.keeper)
    model = RegisteredModel.objects.select_for_update().get(pk=model.pk)
    if is_frozen(model):
        raise RegistrationError(
            "A locked plan names this model, so its description cannot change. Register the weights anew."
        )
    _check_family(spec, model.weights_format)
    _check_purpose(model.role, spec)
    model.spec, model.connection, model.connection_at = spec.to_json(), {}, None
    model.save(update_fields=["spec", "connection", "connection_at"])
    details = {"architecture": spec.architecture, "returns": list(spec.returns)}
    record("model.described", model, organisation=model.organisation, by=by, details=details)
    if model.state == RegisteredModel.State.READY:
        queue_test(model, by=by)
    return model


def is_frozen(model: RegisteredModel) -> bool:
    """Whether a locked plan names this model."""
    named = models.Q(suspect=model) | models.Q(references=model)
    return Plan.objects.filter(named, state=Plan.State.LOCKED).exists()


def found(visible: "models.QuerySet[RegisteredModel]", text: str) -> "models.QuerySet[RegisteredModel]":
    """Models whose name, origin, file, architecture or digest holds the words."""
    wanted = (
        models.Q(name__icontains=text)
        | models.Q(origin__icontains=text)
        | models.Q(weights_name__icontains=text)
        | models.Q(spec__architecture__icontains=text)
        | models.Q(sha256__startswith=text.lower())
        | models.Q(identity__tensors__startswith=text.lower())
    )
    return visible.filter(wanted)


def resolved(spec: ModelSpec, report: ConnectionReport) -> ModelSpec:
    """The description with everything spelled out that it had left to the architecture, so that plans freeze it."""
    return dataclasses.replace(
        spec,
        input_size=report.input_shape[1],
        mean=tuple(report.mean),
        deviation=tuple(report.deviation),
        classes=spec.classes or (None if spec.class_names else report.class_count),
    )


def _checked_file(path: Path, spec: ModelSpec) -> WeightsFacts:
    facts = inspect(path, settings.WEIGHTS_MAX_BYTES)
    _check_family(spec, facts.format)
    return facts


def _check_family(spec: ModelSpec, weights_format: str) -> None:
    if weights_format == ONNX and spec.family != "onnx":
        raise SpecError("This file is an ONNX network; choose the architecture “onnx”.")
    if weights_format != ONNX and spec.family == "onnx":
        raise SpecError("The architecture “onnx” needs an ONNX file; choose the network that these weights belong to.")


def _check_purpose(role: str, spec: ModelSpec) -> None:
    if role == RegisteredModel.ModelRole.ENCODER and "features" not in spec.returns:
        raise RegistrationError("An encoder groups images by its features; ask it for features.")


@transaction.atomic
def _register(
    organisation: Organisation,
    registration: Registration,
    facts: WeightsFacts,
    file_name: str,
    source: dict[str, Any],
    by: User,
) -> RegisteredModel:
    model = _row(organisation, registration, facts, file_name, by)
    params = {"model": str(model.pk), **source}
    enqueue("model.take_weights", model, organisation=organisation, by=by, params=params)
    return model


def _row(
    organisation: Organisation, registration: Registration, facts: WeightsFacts, file_name: str, by: User
) -> RegisteredModel:
    """The row of a model whose weights are on their way. A declaration is made now and logged with the digest."""
    require(by, organisation, RegisteredModel(role=registration.role).keeper)
    _check_purpose(registration.role, registration.spec)
    name, origin = registration.name.strip(), registration.origin.strip()
    if not name or len(name) > 200:
        raise RegistrationError("Give the model a name of at most 200 characters.")
    if registration.published_on and registration.published_on > latest_day(timezone.now()):
        raise RegistrationError("The day of publication lies in the future. Leave it empty for a model not yet out.")
    same_name = RegisteredModel.objects.filter(organisation=organisation, name=name)
    same_name.filter(state=RegisteredModel.State.REFUSED).delete()  # nothing of it was kept, logged or planned
    if same_name.exists():
        raise RegistrationError(f"{organisation} has a model named “{name}” already; choose another name.")
    model = RegisteredModel(
        organisation=organisation,
        role=RegisteredModel.ModelRole(registration.role),
        state=RegisteredModel.State.ARRIVING,
        name=name,
        origin=origin,
        published_on=registration.published_on,
        spec=registration.spec.to_json(),
        weights_name=file_name[:300],
        weights_size=facts.size,
        weights_format=facts.format,
        created_by=by,
    )
    if model.is_reference:
        if not registration.declared:
            raise RegistrationError("A reference needs the declaration that it has never seen a release.")
        if not origin:
            raise RegistrationError("Say where the reference comes from: its origin stands in the log and in reports.")
        model.declaration, model.declared_by, model.declared_at = DECLARATION, by, timezone.now()
    model.save()
    return model
