"""Kinds of jobs of this app; what they do lives in services."""

from audits.services import audit_run, reports

__all__ = ["audit_run", "reports"]
