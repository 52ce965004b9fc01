"""What a job holds while it runs, and how it learns that it must not go on."""

from time import monotonic
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from provenance.errors import TouchmarkError
from provenance.models import Job

PROGRESS_SECONDS = 0.5


class JobCancelledError(TouchmarkError):
    """A person asked for the job to end."""


class JobSupersededError(Exception):
    """This process lost the job: it was silent for too long and another attempt has taken over."""


class JobRun:
    """What a running job holds: its parameters, its progress, and the question whether to go on."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.params: dict[str, Any] = job.params
        self._last_write = 0.0
        self._phase = ""

    def progress(self, done: int, total: int, phase: str = "") -> None:
        """Tells people where the job is. Cheap to call often; raises like `checkpoint`."""
        changed_phase = bool(phase) and phase != self._phase
        if not changed_phase and done < total and monotonic() - self._last_write < PROGRESS_SECONDS:
            return
        self._phase = phase or self._phase
        self._write(progress_done=done, progress_total=total, phase=self._phase)

    def checkpoint(self) -> None:
        """Raises JobCancelledError when a person cancelled the job, JobSupersededError when it is no longer ours."""
        if monotonic() - self._last_write >= PROGRESS_SECONDS:
            self._write()

    def _write(self, **fields: Any) -> None:
        self._last_write = monotonic()
        if not self._mine().update(heartbeat_at=timezone.now(), **fields):
            raise JobSupersededError(f"job {self.job.pk}, attempt {self.job.attempt}")
        if Job.objects.filter(pk=self.job.pk, cancel_requested=True).exists():
            self._last_write = 0.0  # ask again at the next call, so that nobody misses it
            raise JobCancelledError("Cancelled.")

    def _mine(self) -> QuerySet[Job]:
        return Job.objects.filter(pk=self.job.pk, state=Job.State.RUNNING, attempt=self.job.attempt)
