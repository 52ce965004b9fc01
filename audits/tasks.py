"""Kinds of jobs of this app; what they do lives in services."""

from audits.services import audit_run, calibration_run, clustering_run, reports, suspect_jobs, trainings

__all__ = ["audit_run", "calibration_run", "clustering_run", "reports", "suspect_jobs", "trainings"]
