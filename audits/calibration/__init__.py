"""Calibration: are p-values uniform over models that never saw a release, with keys drawn at random?

A test of the project and a feature of the product (docs/method.md, section 8). Importing this package imports no torch.
"""

from audits.calibration.bench import BenchSize
from audits.calibration.pairs import PairRules
from audits.calibration.rounds import CalibrationSettings, RoundResult, calibrate, calibrate_round, tabulate
from audits.calibration.table import CalibrationTable, Rejections, Row

__all__ = [
    "BenchSize",
    "CalibrationSettings",
    "CalibrationTable",
    "PairRules",
    "Rejections",
    "RoundResult",
    "Row",
    "calibrate",
    "calibrate_round",
    "tabulate",
]
