"""Celery's faces: ten lines each. What a job does lives in services."""

from celery import shared_task

from provenance.services import jobs, manifests, presets, releases, words, workers

__all__ = ["manifests", "presets", "releases", "run_job", "sweep", "words", "workers"]


@shared_task(name="provenance.tasks.run_job")
def run_job(job_id: str) -> None:
    jobs.run(job_id)


@shared_task(name="provenance.tasks.sweep")
def sweep() -> None:
    jobs.sweep()
