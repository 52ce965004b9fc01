"""Jobs on their way to a worker: queued, handed to the broker, cancelled, queued again."""

import logging
from typing import Any

from celery import current_app
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.utils import timezone

from provenance.models import Job, Organisation, User
from provenance.models.people import subject_of
from provenance.services.jobs.ending import end
from provenance.services.jobs.kinds import KINDS

logger = logging.getLogger(__name__)

RUN_JOB = "provenance.tasks.run_job"


@transaction.atomic
def enqueue(
    kind: str,
    subject: models.Model,
    *,
    organisation: Organisation,
    by: User | None,
    params: dict[str, Any] | None = None,
    queue: str = "",
) -> Job:
    """Makes the row now and sends the message when the transaction is committed. `params` must hold no secret."""
    named = subject_of(subject)
    job = Job.objects.create(
        kind=kind,
        queue=queue or KINDS[kind].queue,
        organisation=organisation,
        created_by=by,
        subject_type=named["type"],
        subject_id=named["id"],
        subject_label=named["label"],
        params=params or {},
    )
    transaction.on_commit(lambda: send(job))
    return job


def send(job: Job) -> None:
    """Hands the id to the broker. A broker that is away loses nothing: the sweeper sends again.

    The task is named, not imported: tasks import the services whose jobs they run.
    """
    Job.objects.filter(pk=job.pk, state=Job.State.QUEUED).update(sent_at=timezone.now())
    try:
        current_app.signature(RUN_JOB, args=[str(job.pk)]).apply_async(queue=job.queue, retry=False)
    except Exception:  # whatever the broker's client raises: the row is safe and the sweeper will try again
        logger.exception("job %s could not be handed to the broker", job.pk)


def cancel(job: Job, *, by: User) -> None:
    """A queued job ends at once; a running one at its next block."""
    if not job.may_be_steered_by(by):
        raise PermissionDenied("Only the person who started a job, or an administrator, may cancel it.")
    with transaction.atomic():
        Job.objects.filter(pk=job.pk, state__in=[Job.State.QUEUED, Job.State.RUNNING]).update(cancel_requested=True)
        job = Job.objects.select_for_update().get(pk=job.pk)
        if job.state == Job.State.QUEUED:
            end(job, Job.State.CANCELLED, "Cancelled by a person.")


@transaction.atomic
def retry(job: Job, *, by: User) -> None:
    """Queues a failed or cancelled job again; what it had finished is kept."""
    if not job.may_be_steered_by(by):
        raise PermissionDenied("Only the person who started a job, or an administrator, may run it again.")
    again = Job.objects.filter(pk=job.pk, state__in=[Job.State.FAILED, Job.State.CANCELLED]).update(
        state=Job.State.QUEUED, cancel_requested=False, reason="", detail="", finished_at=None, sent_at=None
    )
    if again:
        job.refresh_from_db()
        transaction.on_commit(lambda: send(job))
