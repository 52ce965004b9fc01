"""From the results of a run to corrected p-values, conclusions and rows, all in one transaction."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from django.db import transaction
from django.utils import timezone

from audits.judging import codec, disclosure
from audits.judging.assignments import Conclusion, Rules, conclude, sentence
from audits.judging.exploratory import NOT_SMALL, SMALL, exploratory, exploratory_sentence
from audits.judging.levels import Correction
from audits.judging.result import Findings, Result
from audits.models import Audit, AuditRow, Plan
from audits.services.code_version import code_version
from audits.services.plans.locking import record
from audits.services.plans.series import findings_of_others, hold, run_numbers, shown_before, shown_by
from audits.services.plans.values import PlanError
from audits.statistics.corrections import Corrected, Finding, Spending, correct
from audits.statistics.density import Level
from provenance.canonical import canonical_json
from provenance.models import Release

Found = Sequence[tuple[Release, Result]]
F = TypeVar("F", bound=Findings)


def rules_of(plan: Plan, nonce: str = "") -> Rules:
    """nonce: of the run, for whoever draws permutations."""
    return Rules(plan.digest, plan.level, plan.alpha, plan.permutations, plan.decide_with_references, nonce)  # type: ignore[arg-type]


def check_deciding(plan: Plan, release: Release, result: Result) -> None:
    """Raises PlanError where none of the levels that decide could be tested."""
    if any(level in result.scored for level in plan.primary_levels):
        return
    why = [f"{_label(level)}: {_reason(result, level)}" for level in plan.primary_levels]
    raise PlanError(f"The release for {release.recipient} cannot be tested at a level that decides. {' '.join(why)}")


def store(audit: Audit, results: Found, facts: dict[str, Any]) -> None:
    """Corrects, concludes and writes everything; a second attempt replaces nothing that ended."""
    plan, rules = audit.plan, rules_of(audit.plan)
    with transaction.atomic():
        hold(plan.version)
        if Audit.objects.select_for_update().get(pk=audit.pk).state == Audit.State.DONE:
            return  # by another attempt, which was thought lost
        corrected = correct(_findings(audit, results), _spending(audit))
        own = {(item.tested.release, item.tested.level): item for item in corrected[: _own(results)]}
        AuditRow.objects.filter(audit=audit).delete()
        rows = [_row(audit, release, result, own, rules) for release, result in results]
        tests = max(row.found.tests or 0 for row in rows)
        audit.conclusion, audit.sentence = _overall(plan, rows)
        audit.facts = facts | {"code_version": code_version(), "tests": tests}
        audit.state, audit.finished_at = Audit.State.DONE, timezone.now()
        audit.save(update_fields=["conclusion", "sentence", "facts", "state", "finished_at"])
        digests = {f"result {row.release_id}": _public_digest(row) for row in rows}
        details = {"conclusion": audit.conclusion, "forward passes": facts["forward_passes"]}
        record(plan, "audit.finished", by=None, subject=audit, digests={"plan": plan.digest} | digests, details=details)


def _findings(audit: Audit, results: Found) -> list[Finding]:
    """Every p-value of this run, then, in a closed series, what all other runs bring."""
    plan = audit.plan
    number = run_numbers(plan.suspect, plan.version)[audit.pk]
    own = [
        Finding(str(release.pk), level, number, found.p, level in plan.primary_levels)
        for release, result in results
        for level, found in result.scored.items()
    ]
    if plan.series_is_open:
        return own
    return own + findings_of_others(plan.suspect, plan.version, plan.organisation, plan)


def _spending(audit: Audit) -> Spending:
    """Copies that count untested, as the lock found them; in an open series all that was shown before."""
    plan = audit.plan
    untested = plan.frozen["copies"]["untested"] * len(plan.primary_levels)
    if not plan.series_is_open:
        return Spending(untested)
    return Spending(untested, shown_before(plan.suspect, plan.version, audit), shown_by(plan))


def _own(results: Found) -> int:
    return sum(len(result.scored) for _, result in results)


def _row(
    audit: Audit, release: Release, result: Result, own: Mapping[tuple[str, str], Corrected], rules: Rules
) -> AuditRow:
    corrections = {level: _correction(own[str(release.pk), level]) for level in result.scored}
    conclusion, concluded = _concluded(audit.plan, result, corrections, rules)
    decision = concluded.decision
    return AuditRow.objects.create(
        audit=audit,
        release=release,
        conclusion=conclusion,
        level=concluded.deciding,
        p=decision.p,
        p_corrected=corrections[concluded.deciding].p,
        smallest_p=decision.smallest_p,
        result=codec.write(concluded),
    )


def _correction(item: Corrected) -> Correction:
    return Correction(item.corrected, item.together, item.reason, item.tested.primary)


def _concluded(plan: Plan, result: F, corrections: Mapping[Level, Correction], rules: Rules) -> tuple[Conclusion, F]:
    """The conclusion, and the result with its corrections and what decided."""
    scored = result.scored
    # Of equal ones the first in the fixed order.
    decided_by = min(
        (level for level in scored if level in plan.primary_levels),
        key=lambda level: (corrections[level].p, scored[level].p),
    )
    deciding = corrections[decided_by]
    conclusion, reasons = conclude(scored[decided_by], deciding.p, rules)
    if plan.exploratory:
        conclusion = exploratory(conclusion)
    levels = {level: replace(found, corrected=corrections[level]) for level, found in scored.items()}
    return conclusion, replace(
        result,
        levels={**result.levels, **levels},
        primary_levels=plan.primary_levels,
        decided_by=decided_by,
        tests=deciding.together,
        reasons=(*reasons, *_untested(plan, result)),
        exploratory=plan.exploratory,
    )


def _untested(plan: Plan, result: Findings) -> list[str]:
    """Levels that were to decide as well and could not; the others decide without them."""
    return [
        f"{_label(level)} were to decide as well, but could not be tested. {_reason(result, level)}"
        for level in plan.primary_levels
        if level not in result.scored
    ]


def _reason(result: Findings, level: Level) -> str:
    return result.unscored.get(level) or "The suspect did not return them."


def _label(level: str) -> str:
    return str(Plan.Level(level).label).capitalize()


def _overall(plan: Plan, rows: Sequence[AuditRow]) -> tuple[Conclusion, str]:
    """The audit's own conclusion: that of its strongest row, and a sentence that names those releases.

    Where several levels may decide it also says which of them did.
    """
    order: tuple[Conclusion, ...] = ("evidence", SMALL, "inconclusive", "no_evidence", NOT_SMALL)
    strongest = next(word for word in order if any(row.conclusion == word for row in rows))
    named = [row for row in rows if row.conclusion == strongest]
    recipients = [row.release.recipient for row in named]
    if plan.exploratory:
        return strongest, exploratory_sentence(strongest, plan.suspect.name, recipients)
    decided = [level for level in plan.primary_levels if any(row.level == level for row in named)]
    labels = [str(Plan.Level(level).label) for level in decided] if len(plan.primary_levels) > 1 else []
    return strongest, sentence(strongest, plan.suspect.name, recipients, labels)


def _public_digest(row: AuditRow) -> str:
    return hashlib.sha256(canonical_json(codec.write(disclosure.shuffled(row.found)))).hexdigest()
