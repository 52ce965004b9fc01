"""Kinds of jobs. Each registers itself where its work is defined, and brings its own title."""

from collections.abc import Callable
from dataclasses import dataclass

from provenance.models import Job
from provenance.services.jobs.running import JobRun

Work = Callable[[JobRun], None]


@dataclass(frozen=True)
class JobKind:
    name: str
    title: str
    queue: str
    work: Work
    # Called in the same transaction that ends a job badly, so that the subject's own row says so too.
    ended: Callable[[Job], None] | None


KINDS: dict[str, JobKind] = {}


def job_kind(
    name: str, *, title: str, queue: str, ended: Callable[[Job], None] | None = None
) -> Callable[[Work], Work]:
    """Registers a kind of job. `title`: what people read above its progress, such as "Reading the files".

    `ended(job)` runs when a job of it ends as failed or cancelled, wherever it was.
    """

    def register(work: Work) -> Work:
        KINDS[name] = JobKind(name, title, queue, work, ended)
        return work

    return register


def title_of(job: Job) -> str:
    """The title of the job's kind; rows outlive their kinds, and one that is no more is told by its name."""
    if kind := KINDS.get(job.kind):
        return kind.title
    return job.kind.replace(".", ": ").replace("_", " ")
