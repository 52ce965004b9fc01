"""What happens to a registered model in the background: its weights are stored and hashed, its connection is tested."""

from django.db import transaction
from django.utils import timezone

from audits.models import RegisteredModel
from audits.services.models.identity import compare, keep_identity, recognise
from audits.services.models.opening import limits, local_weights
from audits.services.models.registering import resolved, server_file
from audits.services.models.storing import take_file
from audits.suspects import check_connection
from provenance.models import Job, Upload
from provenance.services.jobs.kinds import job_kind
from provenance.services.jobs.running import JobRun
from provenance.services.log import record
from provenance.services.uploads import remove_file

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


@job_kind("model.connection_test", title="Testing the connection", queue="gpu", ended=forget_connection)
def test_connection(run: JobRun) -> None:
    """Opens the model in its confined process and asks it about noise; it never sees a probe."""
    model = RegisteredModel.objects.select_related("organisation", "created_by").get(pk=run.params["model"])
    with local_weights(model) as path:
        report = check_connection(model.model_spec, path, limits(), run.progress)
    keep_identity(model, report.identity)
    compared = compare(model)
    with transaction.atomic():
        recognise(model, compared)
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
            digests={"weights": model.sha256, "tensors": report.identity.tensors},
            details=details,
        )
