from audits.models.audits import Audit, AuditRow
from audits.models.calibrations import Calibration
from audits.models.clusterings import Clustering
from audits.models.pilots import Pilot
from audits.models.plans import Plan
from audits.models.registered import RegisteredModel
from audits.models.reports import Report
from audits.models.robustness import Robustness
from audits.models.trainings import Training

__all__ = [
    "Audit",
    "AuditRow",
    "Calibration",
    "Clustering",
    "Pilot",
    "Plan",
    "RegisteredModel",
    "Report",
    "Robustness",
    "Training",
]
