"""Celery's faces: ten lines each. What a job does lives in services."""

from celery import shared_task

from provenance.services import blockings, inspections, manifests, near_duplicates, presets, releases, words, workers
from provenance.services.jobs import sweeper, worker

__all__ = [
    "blockings",
    "inspections",
    "manifests",
    "near_duplicates",
    "presets",
    "releases",
    "run_job",
    "sweep",
    "words",
    "workers",
]


@shared_task(name="provenance.tasks.run_job")
def run_job(job_id: str) -> None:
    worker.run(job_id)


@shared_task(name="provenance.tasks.sweep")
def sweep() -> None:
    sweeper.sweep()
