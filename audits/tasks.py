"""Kinds of jobs of this app; what they do lives in services."""

from audits.services import reports

__all__ = ["reports"]
