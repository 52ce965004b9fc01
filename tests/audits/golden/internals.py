"""Everything of the product's inside that the golden files need: the one place to change when it moves."""

from audits.judging import Secrets, judge_level
from audits.report.document import render_pdf
from audits.report.facts import ReportFacts
from audits.scoring import LevelScores
from audits.services.audits import full_result, queue, shuffled_result, visible_result
from audits.services.frozen_plans import digest_of
from audits.services.plans import PlanValues, lock, save_draft
from audits.services.reports import issue
from audits.services.verdicts import rules_of, store
from provenance.canonical import canonical_json
from provenance.services import datasets, jobs, releases

__all__ = [
    "LevelScores",
    "PlanValues",
    "ReportFacts",
    "Secrets",
    "canonical_json",
    "datasets",
    "digest_of",
    "full_result",
    "issue",
    "jobs",
    "judge_level",
    "lock",
    "queue",
    "releases",
    "render_pdf",
    "rules_of",
    "save_draft",
    "shuffled_result",
    "store",
    "visible_result",
]
