"""What pages show of jobs: the moving card of one, and their titles in lists."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from provenance.models import Job, User, WorkerSeen
from provenance.services.jobs.kinds import title_of


@dataclass(frozen=True)
class JobCard:
    """One job with what its viewer may do about it, and whether anybody is there to do the work."""

    job: Job
    title: str
    may_steer: bool
    worker_seen: datetime | None
    workers_alive: int


def job_card(job: Job | None, viewer: User) -> JobCard | None:
    """The card of a job, or None where there is no job."""
    if job is None:
        return None
    workers = [worker for worker in WorkerSeen.objects.all() if job.queue in worker.queues.split(",")]
    return JobCard(
        job,
        title_of(job),
        job.may_be_steered_by(viewer),
        max((worker.seen_at for worker in workers), default=None),
        sum(worker.is_alive for worker in workers),
    )


def titled(jobs: Iterable[Job]) -> list[tuple[str, Job]]:
    """Jobs with the titles of their kinds."""
    return [(title_of(job), job) for job in jobs]
