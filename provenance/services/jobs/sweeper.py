"""The sweeper: no job waits for ever, and none stays with a worker that is gone."""

import logging
import socket
from datetime import timedelta

import psutil
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from provenance.models import Job
from provenance.services.jobs import queue
from provenance.services.jobs.ending import end

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3


def sweep() -> tuple[int, int]:
    """Sends queued jobs again that nobody picked up, and takes running ones back whose worker fell silent.

    Returns (sent again, taken back). Safe to run anywhere, any number of times.
    """
    now = timezone.now()
    overdue = now - timedelta(seconds=settings.JOB_RESEND_SECONDS)
    waiting = Job.objects.filter(state=Job.State.QUEUED).filter(
        Q(sent_at__isnull=True, created_at__lt=now - timedelta(seconds=2)) | Q(sent_at__lt=overdue)
    )
    sent = 0
    for job in waiting:
        queue.send(job)
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
        end(job, Job.State.CANCELLED, "Cancelled by a person; its worker had already stopped.")
    elif job.attempt >= MAX_ATTEMPTS:
        sentence = f"The worker stopped {job.attempt} times without a word, probably out of memory. Nothing is lost; "
        end(job, Job.State.FAILED, sentence + "start the job again on a machine with more memory.")
    else:
        lost = Job.objects.filter(pk=job.pk, state=Job.State.RUNNING, attempt=job.attempt)
        if not lost.update(state=Job.State.QUEUED, sent_at=None, phase="waiting again: its worker stopped"):
            return 0
        queue.send(job)
    logger.warning("job %s was lost with %s in attempt %d", job.pk, job.worker, job.attempt)
    return 1
