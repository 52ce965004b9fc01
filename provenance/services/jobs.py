"""Jobs: queued, claimed, kept alive, ended. The row is the truth; Celery only carries its id.

A kind of job is a function of one `JobRun`, registered with `@job_kind`. It may run again after its worker was killed,
so it stores its results block by block and resumes; it calls `run.checkpoint()` at every block.
"""

import logging
import socket
import threading
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from os import getpid
from time import monotonic
from typing import Any

import psutil
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import connection, models, transaction
from django.db.models import F
from django.utils import timezone

from provenance.errors import DISK_FULL, TouchmarkError, is_disk_full
from provenance.models import Job, Organisation, User
from provenance.models.jobs import JobState
from provenance.models.people import subject_of

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
PROGRESS_SECONDS = 0.5


class JobCancelledError(TouchmarkError):
    """A person asked for the job to end."""


class JobSupersededError(Exception):
    """This process lost the job: it was silent for too long and another attempt has taken over."""


@dataclass(frozen=True)
class JobKind:
    name: str
    queue: str
    work: "Callable[[JobRun], None]"
    # Called in the same transaction that ends a job badly, so that the subject's own row says so too.
    ended: "Callable[[Job], None] | None"


KINDS: dict[str, JobKind] = {}


def job_kind(
    name: str, *, queue: str, ended: "Callable[[Job], None] | None" = None
) -> "Callable[[Callable[[JobRun], None]], Callable[[JobRun], None]]":
    """Registers a kind of job. `ended(job)` runs when a job of it ends as failed or cancelled, wherever it was."""

    def register(work: "Callable[[JobRun], None]") -> "Callable[[JobRun], None]":
        KINDS[name] = JobKind(name, queue, work, ended)
        return work

    return register


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

    def should_stop(self) -> bool:
        """For cores that ask instead of being interrupted; the job must then end by raising `checkpoint`'s error."""
        try:
            self.checkpoint()
        except (JobCancelledError, JobSupersededError):
            return True
        return False

    def _write(self, **fields: Any) -> None:
        self._last_write = monotonic()
        if not self._mine().update(heartbeat_at=timezone.now(), **fields):
            raise JobSupersededError(f"job {self.job.pk}, attempt {self.job.attempt}")
        if Job.objects.filter(pk=self.job.pk, cancel_requested=True).exists():
            self._last_write = 0.0  # ask again at the next call, so that nobody misses it
            raise JobCancelledError("Cancelled.")

    def _mine(self) -> models.QuerySet[Job]:
        return Job.objects.filter(pk=self.job.pk, state=Job.State.RUNNING, attempt=self.job.attempt)


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
    """Hands the id to the broker. A broker that is away loses nothing: the sweeper sends again."""
    from provenance.tasks import run_job

    Job.objects.filter(pk=job.pk, state=Job.State.QUEUED).update(sent_at=timezone.now())
    try:
        run_job.apply_async(args=[str(job.pk)], queue=job.queue, retry=False)
    except Exception:  # whatever the broker's client raises: the row is safe and the sweeper will try again
        logger.exception("job %s could not be handed to the broker", job.pk)


def run(job_id: str) -> None:
    """Claims the job and works it off; does nothing if another process has it, or if it has ended."""
    job = _claim(uuid.UUID(job_id))
    if job is None:
        logger.info("job %s is not waiting; nothing to do", job_id)
        return
    logger.info("job %s (%s) attempt %d starts", job.pk, job.kind, job.attempt)
    try:
        with _heartbeat(job):
            KINDS[job.kind].work(JobRun(job))
    except JobSupersededError:
        logger.warning("job %s was taken over by another attempt", job.pk)
    except JobCancelledError:
        _end(job, Job.State.CANCELLED, "Cancelled by a person.")
    except SoftTimeLimitExceeded:
        hours = settings.CELERY_TASK_SOFT_TIME_LIMIT / 3600
        _end(job, Job.State.FAILED, f"The job took longer than {hours:.1f} hours and was stopped.", "soft time limit")
    except TouchmarkError as error:
        logger.warning("job %s failed: %s", job.pk, error.sentence)
        _end(job, Job.State.FAILED, error.sentence, error.detail)
    except MemoryError:
        logger.exception("job %s ran out of memory", job.pk)
        _end(job, Job.State.FAILED, "The worker ran out of memory. Free some, or ask for less, and try again.")
    except Exception as error:
        logger.exception("job %s failed unexpectedly", job.pk)
        unforeseen = "Something went wrong that we did not foresee; the administrator finds the details below."
        sentence = DISK_FULL if is_disk_full(error) else unforeseen
        _end(job, Job.State.FAILED, sentence, traceback.format_exc())
    else:
        if Job.objects.filter(pk=job.pk, cancel_requested=True).exists():
            logger.info("job %s was done before it could be cancelled", job.pk)
        _end(job, Job.State.DONE)


def _claim(job_id: uuid.UUID) -> Job | None:
    """Takes a queued job by one conditional UPDATE, so that a second delivery finds nothing to take."""
    now = timezone.now()
    name = f"{socket.gethostname()}:{getpid()}"
    taken = Job.objects.filter(pk=job_id, state=Job.State.QUEUED).update(
        state=Job.State.RUNNING,
        attempt=F("attempt") + 1,
        worker=name,
        started_at=now,
        heartbeat_at=now,
        phase="starting",
        reason="",
        detail="",
    )
    return Job.objects.get(pk=job_id) if taken else None


@transaction.atomic
def _end(job: Job, state: JobState, reason: str = "", detail: str = "") -> None:
    """Ends the attempt this process holds; an attempt that was taken over meanwhile is left alone."""
    ended = Job.objects.filter(pk=job.pk, attempt=job.attempt, state=job.state).update(
        state=state, reason=reason, detail=detail, finished_at=timezone.now(), phase=""
    )
    hook = KINDS[job.kind].ended
    if ended and state != Job.State.DONE and hook:
        job.refresh_from_db()
        hook(job)


@contextmanager
def _heartbeat(job: Job) -> Iterator[None]:
    """Keeps `heartbeat_at` fresh from a thread while long steps compute. Eager tests have one connection: no thread."""
    if settings.CELERY_TASK_ALWAYS_EAGER:
        yield
        return
    done = threading.Event()

    def beat() -> None:
        try:
            while not done.wait(settings.JOB_HEARTBEAT_SECONDS):
                try:
                    Job.objects.filter(pk=job.pk, attempt=job.attempt, state=Job.State.RUNNING).update(
                        heartbeat_at=timezone.now()
                    )
                except Exception:
                    logger.exception("heartbeat of job %s failed", job.pk)
                    connection.close()
        finally:
            connection.close()

    thread = threading.Thread(target=beat, name=f"heartbeat-{job.pk}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=5)


def cancel(job: Job, *, by: User) -> None:
    """A queued job ends at once; a running one at its next block."""
    if not job.may_be_steered_by(by):
        raise PermissionDenied("Only the person who started a job, or an administrator, may cancel it.")
    with transaction.atomic():
        Job.objects.filter(pk=job.pk, state__in=[Job.State.QUEUED, Job.State.RUNNING]).update(cancel_requested=True)
        job = Job.objects.select_for_update().get(pk=job.pk)
        if job.state == Job.State.QUEUED:
            _end(job, Job.State.CANCELLED, "Cancelled by a person.")


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


def sweep() -> tuple[int, int]:
    """Sends queued jobs again that nobody picked up, and takes running ones back whose worker fell silent.

    Returns (sent again, taken back). Safe to run anywhere, any number of times.
    """
    now = timezone.now()
    overdue = now - timedelta(seconds=settings.JOB_RESEND_SECONDS)
    waiting = Job.objects.filter(state=Job.State.QUEUED).filter(
        models.Q(sent_at__isnull=True, created_at__lt=now - timedelta(seconds=2)) | models.Q(sent_at__lt=overdue)
    )
    sent = 0
    for job in waiting:
        send(job)
        sent += 1
    silent = now - timedelta(seconds=settings.JOB_LOST_SECONDS)
    taken_back = 0
    for job in Job.objects.filter(state=Job.State.RUNNING):
        if (job.heartbeat_at or now) < silent or _process_is_gone(job):
            taken_back += _take_back(job)
    return sent, taken_back


def _process_is_gone(job: Job) -> bool:
    """True where the job ran on this very machine and its process no longer exists: no need to wait for silence."""
    host, _, pid = job.worker.rpartition(":")
    return host == socket.gethostname() and pid.isdigit() and not psutil.pid_exists(int(pid))


def _take_back(job: Job) -> int:
    """A lost attempt: again if there are attempts left, else the end."""
    if job.cancel_requested:
        _end(job, Job.State.CANCELLED, "Cancelled by a person; its worker had already stopped.")
    elif job.attempt >= MAX_ATTEMPTS:
        sentence = f"The worker stopped {job.attempt} times without a word, probably out of memory. Nothing is lost; "
        _end(job, Job.State.FAILED, sentence + "start the job again on a machine with more memory.")
    else:
        lost = Job.objects.filter(pk=job.pk, state=Job.State.RUNNING, attempt=job.attempt)
        if not lost.update(state=Job.State.QUEUED, sent_at=None, phase="waiting again: its worker stopped"):
            return 0
        send(job)
    logger.warning("job %s was lost with %s in attempt %d", job.pk, job.worker, job.attempt)
    return 1
