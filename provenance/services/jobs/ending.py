"""How a job ends: its row, and the row of what it worked on, in one transaction."""

from django.db import transaction
from django.utils import timezone

from provenance.models import Job
from provenance.models.jobs import JobState
from provenance.services.jobs.kinds import KINDS


@transaction.atomic
def end(job: Job, state: JobState, reason: str = "", detail: str = "") -> None:
    """Ends the attempt this process holds; an attempt that was taken over meanwhile is left alone."""
    ended = Job.objects.filter(pk=job.pk, attempt=job.attempt, state=job.state).update(
        state=state, reason=reason, detail=detail, finished_at=timezone.now(), phase=""
    )
    hook = KINDS[job.kind].ended
    if ended and state != Job.State.DONE and hook:
        job.refresh_from_db()
        hook(job)
