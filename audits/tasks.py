"""Kinds of jobs of this app, and its housekeeping; what they do lives in services."""

from celery import shared_task

from audits.services import (
    answers_sweep,
    audit_run,
    calibration_run,
    clustering_run,
    reports,
    suspect_jobs,
    trainings,
)

__all__ = ["audit_run", "calibration_run", "clustering_run", "reports", "suspect_jobs", "sweep_answers", "trainings"]


@shared_task(name="audits.tasks.sweep_answers")
def sweep_answers() -> None:
    answers_sweep.sweep_answers()
