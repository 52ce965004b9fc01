"""What happens to a registered model in the background: its weights are stored and hashed, its connection is tested."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from audits.models import RegisteredModel
from audits.services.models.opening import limits, local_weights
from audits.services.models.registering import RegistrationError, queue_test, resolved, server_file
from audits.suspects import check_connection
from audits.suspects.formats import inspect
from provenance.models import Job, Upload
from provenance.services.jobs.kinds import job_kind
from provenance.services.jobs.running import JobRun
from provenance.services.log import record
from provenance.services.uploads import remove_file

BLOCK = 4 * 2**20
State = RegisteredModel.State


def mark_refused(job: Job) -> None:
    """Runs where taking the weights ended badly: the model's own row says so too."""
    arriving = RegisteredModel.objects.filter(pk=job.params["model"]).exclude(state=State.READY)
    arriving.update(state=State.REFUSED, reason=job.reason)


def forget_connection(job: Job) -> None:
    """A model whose last test failed is not one that can be asked; a cancelled test changes nothing."""
    if job.state == Job.State.FAILED:
        RegisteredModel.objects.filter(pk=job.params["model"]).update(connection={}, connection_at=None)


@job_kind("model.take_weights", title="Taking in the weights", queue="cpu", ended=mark_refused)
def take_weights(run: JobRun) -> None:
    """Hashes and stores the weights, says so in the log, and queues the connection test."""
    model = RegisteredModel.objects.get(pk=run.params["model"])
    if model.state == State.READY:  # an earlier attempt was killed after its last step
        return
    RegisteredModel.objects.filter(pk=model.pk).update(state=State.ARRIVING, reason="")
    upload = Upload.objects.filter(pk=run.params["upload"]).first() if "upload" in run.params else None
    path = upload.path if upload else server_file(run.params.get("path", ""))
    take_file(model, path, lambda done, total: run.progress(done, total, "hashing the weights"))
    if upload:
        remove_file(upload)


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


@job_kind("model.connection_test", title="Testing the connection", queue="gpu", ended=forget_connection)
def test_connection(run: JobRun) -> None:
    """Opens the model in its confined process and asks it about noise; it never sees a probe."""
    model = RegisteredModel.objects.select_related("organisation", "created_by").get(pk=run.params["model"])
    with local_weights(model) as path:
        report = check_connection(model.model_spec, path, limits(), run.progress)
    with transaction.atomic():
        model = RegisteredModel.objects.select_for_update().get(pk=model.pk)
        model.spec = resolved(model.model_spec, report).to_json()
        model.connection, model.connection_at = report.to_json(), timezone.now()
        model.save(update_fields=["spec", "connection", "connection_at"])
        details = {
            "levels": list(report.levels),
            "images_per_second": report.images_per_second,
            "device": report.device,
        }
        record(
            "model.tested",
            model,
            organisation=model.organisation,
            by=run.job.created_by,
            digests={"weights": model.sha256},
            details=details,
        )


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
    others = RegisteredModel.objects.filter(organisation=model.organisation, sha256=digest, state=State.READY)
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
    owner, by = model.organisation, model.created_by
    record("model.registered", model, organisation=owner, by=by, digests=digests, details=details)
    if model.is_reference:
        declared_at = model.declared_at.isoformat() if model.declared_at else ""
        declared = {"declaration": model.declaration, "origin": model.origin, "declared_at": declared_at}
        record("reference.declared", model, organisation=owner, by=by, digests=digests, details=declared)
