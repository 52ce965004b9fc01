"""The file of weights that becomes a model's own: hashed, stored, said in the log, and its connection tested next."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction

from audits.models import RegisteredModel
from audits.services.models.connection import queue_test
from audits.services.models.errors import RegistrationError
from audits.services.models.identity import registrations_of_file
from audits.suspects.formats import inspect
from provenance.services.log import record

BLOCK = 4 * 2**20
State = RegisteredModel.State


def take_file(model: RegisteredModel, path: Path, on_block: Callable[[int, int], None]) -> None:
    """Stores a file as the model's weights. Safe to repeat: what a killed attempt left is replaced."""
    facts = inspect(path, settings.WEIGHTS_MAX_BYTES)
    digest = _digest(path, facts.size, on_block)
    _refuse_second_role(model, digest)
    name = f"weights/{model.pk}"
    if default_storage.exists(name):
        default_storage.delete(name)
    with path.open("rb") as stream:
        stored = default_storage.save(name, File(stream, name=path.name))
    with transaction.atomic():
        model = RegisteredModel.objects.select_for_update().get(pk=model.pk)
        model.weights.name, model.sha256 = stored, digest
        model.weights_size, model.weights_format = facts.size, facts.format
        model.state, model.reason = State.READY, ""
        model.save()
        _log_registration(model)
        queue_test(model, by=model.created_by)


def _digest(path: Path, size: int, on_block: Callable[[int, int], None]) -> str:
    state, done = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            state.update(block)
            done += len(block)
            on_block(done, size)
    return state.hexdigest()


def _refuse_second_role(model: RegisteredModel, digest: str) -> None:
    """The same weights cannot be suspected and vouched for at once; an owner's encoder may be either as well."""
    if model.is_encoder:
        return
    others = registrations_of_file(digest).filter(organisation=model.organisation, state=State.READY)
    other = others.exclude(role__in=(model.role, RegisteredModel.ModelRole.ENCODER)).first()
    if other is not None:
        raise RegistrationError(
            f"These very weights are registered as the {other.get_role_display()} “{other.name}”; "
            "one model cannot be both suspect and reference."
        )


def _log_registration(model: RegisteredModel) -> None:
    digests = {"weights": model.sha256}
    spec = model.model_spec
    details = {
        "role": model.role,
        "architecture": spec.architecture,
        "returns": list(spec.returns),
        "format": model.weights_format,
        "file": model.weights_name,
        "origin": model.origin,
    }
    if model.published_on:
        details["published on"] = model.published_on.isoformat()
    owner, by = model.organisation, model.created_by
    record("model.registered", model, organisation=owner, by=by, digests=digests, details=details)
    if model.is_reference:
        declared_at = model.declared_at.isoformat() if model.declared_at else ""
        declared = {"declaration": model.declaration, "origin": model.origin, "declared_at": declared_at}
        record("reference.declared", model, organisation=owner, by=by, digests=digests, details=declared)
