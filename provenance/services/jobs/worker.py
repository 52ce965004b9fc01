"""The worker's part: it claims a job, keeps it alive, works it off and ends it."""

import logging
import socket
import threading
import traceback
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from os import getpid

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import connection
from django.db.models import F
from django.utils import timezone

from provenance.errors import DISK_FULL, TouchmarkError, is_disk_full
from provenance.models import Job
from provenance.services.jobs.ending import end
from provenance.services.jobs.kinds import KINDS
from provenance.services.jobs.running import JobCancelledError, JobRun, JobSupersededError
from provenance.wording import duration

logger = logging.getLogger(__name__)


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
        end(job, Job.State.CANCELLED, "Cancelled by a person.")
    except SoftTimeLimitExceeded:
        limit = duration(settings.CELERY_TASK_SOFT_TIME_LIMIT)
        end(job, Job.State.FAILED, f"The job took longer than {limit} and was stopped.", "soft time limit")
    except TouchmarkError as error:
        logger.warning("job %s failed: %s", job.pk, error.sentence)
        end(job, Job.State.FAILED, error.sentence, error.detail)
    except MemoryError:
        logger.exception("job %s ran out of memory", job.pk)
        end(job, Job.State.FAILED, "The worker ran out of memory. Free some, or ask for less, and try again.")
    except Exception as error:
        logger.exception("job %s failed unexpectedly", job.pk)
        unforeseen = "Something went wrong that we did not foresee; the administrator finds the details below."
        sentence = DISK_FULL if is_disk_full(error) else unforeseen
        end(job, Job.State.FAILED, sentence, traceback.format_exc())
    else:
        if Job.objects.filter(pk=job.pk, cancel_requested=True).exists():
            logger.info("job %s was done before it could be cancelled", job.pk)
        end(job, Job.State.DONE)


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
