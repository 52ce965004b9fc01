"""Kinds of jobs of this app, and its housekeeping; what they do lives in services."""

from celery import shared_task

from audits.services.answers import sweep
from audits.services.calibrations import job as calibrations
from audits.services.clusterings import job as clusterings
from audits.services.models import job as models
from audits.services.pilots import job as pilots
from audits.services.reports import job as reports
from audits.services.robustness import job as robustness
from audits.services.runs import job as runs
from audits.services.trainings import job as trainings

__all__ = [
    "calibrations",
    "clusterings",
    "models",
    "pilots",
    "reports",
    "robustness",
    "runs",
    "sweep_answers",
    "trainings",
]


@shared_task(name="audits.tasks.sweep_answers")
def sweep_answers() -> None:
    sweep.sweep_answers()
