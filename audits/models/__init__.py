from audits.models.audits import Audit, AuditRow
from audits.models.plans import Plan
from audits.models.reports import Report
from audits.models.suspects import RegisteredModel
from audits.models.trainings import Training

__all__ = ["Audit", "AuditRow", "Plan", "RegisteredModel", "Report", "Training"]
