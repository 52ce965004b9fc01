"""From the results of a run to corrected p-values, conclusions and rows, all in one transaction."""

import hashlib
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from audits.judging.assignments import Conclusion, Rules, conclude, sentence
from audits.models import Audit, AuditRow, Plan
from audits.services.code_version import code_version
from audits.services.plans.locking import record
from audits.services.plans.series import findings_of_others, hold, run_numbers
from audits.services.plans.values import PlanError
from audits.services.results.visible import shuffled_result
from audits.statistics.corrections import Corrected, Finding, correct
from provenance.canonical import canonical_json
from provenance.models import Release


def rules_of(plan: Plan, nonce: str = "") -> Rules:
    """nonce: of the run, for whoever draws permutations."""
    return Rules(plan.digest, plan.level, plan.alpha, plan.permutations, plan.decide_with_references, nonce)  # type: ignore[arg-type]


def check_deciding(plan: Plan, release: Release, result: dict[str, Any]) -> None:
    """Raises PlanError where none of the levels that decide could be tested."""
    levels = result["levels"]
    if any("p" in levels.get(level, {}) for level in plan.primary_levels):
        return
    why = [f"{_label(level)}: {_reason(levels, level)}" for level in plan.primary_levels]
    raise PlanError(f"The release for {release.recipient} cannot be tested at a level that decides. {' '.join(why)}")


def store(audit: Audit, results: Sequence[tuple[Release, dict[str, Any]]], facts: dict[str, Any]) -> None:
    """Corrects, concludes and writes everything; a second attempt replaces nothing that ended."""
    plan, rules = audit.plan, rules_of(audit.plan)
    with transaction.atomic():
        hold(plan.releases.all())
        if Audit.objects.select_for_update().get(pk=audit.pk).state == Audit.State.DONE:
            return  # by another attempt, which was thought lost
        corrected = correct(_findings(audit, results), plan.series_is_open)
        own = {(item.tested.release, item.tested.level): item for item in corrected[: _own(results)]}
        AuditRow.objects.filter(audit=audit).delete()
        rows = [_row(audit, release, result, own, rules) for release, result in results]
        tests = max(row.result["tests"] for row in rows)
        audit.conclusion, audit.sentence = _overall(plan, rows)
        audit.facts = facts | {"code_version": code_version(), "tests": tests}
        audit.state, audit.finished_at = Audit.State.DONE, timezone.now()
        audit.save(update_fields=["conclusion", "sentence", "facts", "state", "finished_at"])
        digests = {f"result {row.release_id}": _public_digest(row) for row in rows}
        details = {"conclusion": audit.conclusion, "forward passes": facts["forward_passes"]}
        record(plan, "audit.finished", by=None, subject=audit, digests={"plan": plan.digest} | digests, details=details)


def _findings(audit: Audit, results: Sequence[tuple[Release, dict[str, Any]]]) -> list[Finding]:
    """Every p-value of this run, then what all other runs of the same weights against the same releases bring."""
    plan, releases = audit.plan, [release for release, _ in results]
    number = run_numbers(plan.suspect, releases)[audit.pk]
    found = []
    for release, result in results:
        found += _of_result(str(release.pk), result, number, plan.primary_levels)
    return found + findings_of_others(plan.suspect, releases, plan.organisation, plan)


def _of_result(release: str, result: dict[str, Any], run: int, primary: Sequence[str]) -> list[Finding]:
    return [
        Finding(release, level, run, found["p"], level in primary)
        for level, found in result["levels"].items()
        if "p" in found
    ]


def _own(results: Sequence[tuple[Release, dict[str, Any]]]) -> int:
    return sum(1 for _, result in results for found in result["levels"].values() if "p" in found)


def _row(
    audit: Audit, release: Release, result: dict[str, Any], own: dict[tuple[str, str], Corrected], rules: Rules
) -> AuditRow:
    plan, levels = audit.plan, result["levels"]
    for level, found in levels.items():
        if "p" in found:
            item = own[str(release.pk), level]
            found["corrected"] = {
                "p": item.corrected,
                "together": item.together,
                "reason": item.reason,
                "primary": item.tested.primary,
            }
    scored = [level for level in plan.primary_levels if "p" in levels.get(level, {})]
    # Of equal ones the first in the fixed order.
    decided_by = min(scored, key=lambda level: (levels[level]["corrected"]["p"], levels[level]["p"]))
    deciding = levels[decided_by]
    conclusion, reasons = conclude(deciding, deciding["corrected"]["p"], rules)
    result |= {
        "primary_levels": list(plan.primary_levels),
        "decided_by": decided_by,
        "tests": deciding["corrected"]["together"],
        "reasons": reasons + _untested(plan, levels),
    }
    return AuditRow.objects.create(
        audit=audit,
        release=release,
        conclusion=conclusion,
        level=decided_by,
        p=deciding["p"],
        p_corrected=deciding["corrected"]["p"],
        smallest_p=deciding["smallest_p"],
        result=result,
    )


def _untested(plan: Plan, levels: dict[str, Any]) -> list[str]:
    """Levels that were to decide as well and could not; the others decide without them."""
    return [
        f"{_label(level)} were to decide as well, but could not be tested. {_reason(levels, level)}"
        for level in plan.primary_levels
        if "p" not in levels.get(level, {})
    ]


def _reason(levels: dict[str, Any], level: str) -> str:
    return str(levels.get(level, {}).get("reason") or "The suspect did not return them.")


def _label(level: str) -> str:
    return str(Plan.Level(level).label).capitalize()


def _overall(plan: Plan, rows: Sequence[AuditRow]) -> tuple[Conclusion, str]:
    """The audit's own conclusion: that of its strongest row, and a sentence that names those releases.

    Where several levels may decide it also says which of them did.
    """
    order: tuple[Conclusion, ...] = ("evidence", "inconclusive", "no_evidence")
    strongest = next(word for word in order if any(row.conclusion == word for row in rows))
    named = [row for row in rows if row.conclusion == strongest]
    decided = [level for level in plan.primary_levels if any(row.level == level for row in named)]
    labels = [str(Plan.Level(level).label) for level in decided] if len(plan.primary_levels) > 1 else []
    return strongest, sentence(strongest, plan.suspect.name, [row.release.recipient for row in named], labels)


def _public_digest(row: AuditRow) -> str:
    return hashlib.sha256(canonical_json(shuffled_result(row))).hexdigest()
