"""Tests of a model's connection, on their way to the job that asks it about noise."""

from django.db import transaction

from audits.models import RegisteredModel
from audits.services.models.errors import RegistrationError
from provenance.models import Job, User
from provenance.services.access import require
from provenance.services.jobs.queue import enqueue


@transaction.atomic
def test_connection(model: RegisteredModel, *, by: User) -> Job:
    """Queues a connection test; one that waits or runs already is answered instead."""
    require(by, model.organisation, model.keeper)
    return queue_test(model, by=by)


def queue_unidentified() -> list[Job]:
    """Queues the connection test of every model, of all organisations, by which it is known again: one that was tested
    before identities were taken cannot be compared with any other. Tests that wait or run already are answered too."""
    return [_queue_unasked(model) for model in RegisteredModel.objects.unidentified().order_by("created_at", "pk")]


@transaction.atomic
def _queue_unasked(model: RegisteredModel) -> Job:
    return queue_test(model, by=None)


def queue_test(model: RegisteredModel, *, by: User | None) -> Job:
    """The same without asking who: for jobs that act on behalf of whoever started them."""
    model = RegisteredModel.objects.select_for_update().get(pk=model.pk)
    if model.state != RegisteredModel.State.READY:
        raise RegistrationError("The weights have not arrived, so there is nothing to test.")
    current = model.connection_job
    if current is not None and not current.is_finished:
        return current
    job = enqueue(
        "model.connection_test", model, organisation=model.organisation, by=by, params={"model": str(model.pk)}
    )
    model.connection_job = job
    model.save(update_fields=["connection_job"])
    return job
