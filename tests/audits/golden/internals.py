"""Everything of the product's inside that the golden files need: the one place to change when it moves."""

from typing import Any

from audits.judging import codec, disclosure
from audits.judging.assignments import Secrets, judge_level
from audits.judging.levels import Unscored
from audits.judging.result import AssociatedResult, Restricted, Shuffle
from audits.judging.scoring import LevelScores
from audits.models import AuditRow
from audits.report.document import render_pdf
from audits.report.facts import ReportFacts
from audits.services.plans.drafting import save_draft
from audits.services.plans.frozen import digest_of
from audits.services.plans.locking import lock
from audits.services.plans.values import PlanValues
from audits.services.reports.issuing import issue
from audits.services.results import visible
from audits.services.results.verdicts import rules_of, store
from audits.services.runs.queueing import queue
from audits.statistics.density import DensityScores
from provenance.canonical import canonical_json
from provenance.models import User
from provenance.services import datasets, releases

__all__ = [
    "AssociatedResult",
    "DensityScores",
    "LevelScores",
    "PlanValues",
    "ReportFacts",
    "Restricted",
    "Secrets",
    "Shuffle",
    "Unscored",
    "canonical_json",
    "datasets",
    "digest_of",
    "full_result",
    "issue",
    "judge_level",
    "lock",
    "logged_result",
    "queue",
    "releases",
    "render_pdf",
    "rules_of",
    "save_draft",
    "shuffled_result",
    "store",
    "visible_result",
]


def full_result(row: AuditRow) -> dict[str, Any]:
    return codec.write(disclosure.full(row.found))


def shuffled_result(row: AuditRow) -> dict[str, Any]:
    return codec.write(disclosure.withheld(row.found))


def logged_result(row: AuditRow) -> dict[str, Any]:
    return codec.write(disclosure.as_logged(row.found))


def visible_result(row: AuditRow, person: User) -> dict[str, Any]:
    return codec.write(visible.visible_result(row, person))
