"""Celery's faces: ten lines each. What a job does lives in services."""

from celery import shared_task

from provenance.services import jobs, workers

__all__ = ["run_job", "sweep", "workers"]


@shared_task(name="provenance.tasks.run_job")
def run_job(job_id: str) -> None:
    jobs.run(job_id)


@shared_task(name="provenance.tasks.sweep")
def sweep() -> None:
    jobs.sweep()
