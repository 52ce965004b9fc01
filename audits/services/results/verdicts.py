"""From the results of a run to corrected p-values, conclusions and rows, all in one transaction."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from django.db import transaction
from django.utils import timezone

from audits.judging import codec, disclosure
from audits.judging.assignments import Conclusion, CorrectedP, Rules, conclude, sentence
from audits.judging.exploratory import NOT_SMALL, SMALL, exploratory, exploratory_sentence
from audits.judging.levels import AnyLevel, Correction
from audits.judging.result import Findings, Result
from audits.models import Audit, AuditRow, Plan
from audits.services.code_version import code_version
from audits.services.plans.keyed_choices import RANDOM_CHOICES
from audits.services.plans.locking import record
from audits.services.plans.series import (
    findings_of_others,
    hold,
    run_numbers,
    shown_before,
    shown_by,
    shown_by_strangers,
)
from audits.services.plans.values import PlanError
from audits.statistics.corrections import Finding, Spending, correct, corrected_if
from audits.statistics.density import Level
from provenance.canonical import canonical_json
from provenance.models import Release

Found = Sequence[tuple[Release, Result]]
F = TypeVar("F", bound=Findings)


def rules_of(plan: Plan, nonce: str = "") -> Rules:
    """nonce: of the run, for whoever draws permutations."""
    return Rules(
        plan.digest,
        plan.level,  # type: ignore[arg-type]
        plan.alpha,
        plan.permutations,
        plan.decide_with_references,
        nonce,
        plan.membership_score,
        RANDOM_CHOICES,
    )


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
        hold(plan.version, plan.suspect)
        if Audit.objects.select_for_update().get(pk=audit.pk).state == Audit.State.DONE:
            return  # by another attempt, which was thought lost
        together = TestedTogether(_findings(audit, results), _spending(audit))
        AuditRow.objects.filter(audit=audit).delete()
        rows = [_row(audit, release, result, together, rules) for release, result in results]
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
    """Copies that count untested, as the lock found them; in an open series all that was shown before and elsewhere."""
    plan = audit.plan
    untested = plan.frozen["copies"]["untested"] * len(plan.primary_levels)
    if not plan.series_is_open:
        return Spending(untested)
    made = shown_by(plan) + shown_by_strangers(plan.suspect, plan.version)
    return Spending(untested, shown_before(plan.suspect, plan.version, audit), made)


class TestedTogether:
    """All tests that are corrected together, found by release and level; those of this run come first among them."""

    def __init__(self, tested: Sequence[Finding], spending: Spending) -> None:
        self._tested, self._spending = tested, spending
        self._corrected = correct(tested, spending)
        self._places = {(item.release, item.level): place for place, item in reversed(list(enumerate(tested)))}

    def correction(self, release: Release, level: Level, found: AnyLevel) -> Correction:
        item = self._corrected[self._places[str(release.pk), level]]
        smallest = self.instead(release, level, found.smallest_p) if item.tested.primary else None
        return Correction(item.corrected, item.together, item.reason, item.tested.primary, smallest)

    def instead(self, release: Release, level: Level, p: float) -> float:
        """What a primary level would be corrected to if it had given `p`."""
        return corrected_if(self._tested, self._places[str(release.pk), level], p, self._spending)


def _row(audit: Audit, release: Release, result: Result, together: TestedTogether, rules: Rules) -> AuditRow:
    corrections = {level: together.correction(release, level, found) for level, found in result.scored.items()}
    decided_by = _decided_by(audit.plan, result, corrections)
    decision, corrected = result.scored[decided_by], corrections[decided_by]
    other = decision.p_without if rules.decide_with_references else decision.p_with
    conclusion, reasons = conclude(
        decision,
        CorrectedP(
            corrected.p,
            min(one.smallest_p for one in corrections.values() if one.smallest_p is not None),
            None if other is None else together.instead(release, decided_by, other),
        ),
        rules,
    )
    if audit.plan.exploratory:
        conclusion = exploratory(conclusion)
    concluded = _concluded(audit.plan, result, corrections, decided_by, reasons)
    return AuditRow.objects.create(
        audit=audit,
        release=release,
        conclusion=conclusion,
        level=decided_by,
        p=decision.p,
        p_corrected=corrected.p,
        smallest_p=decision.smallest_p,
        result=codec.write(concluded),
    )


def _decided_by(plan: Plan, result: Result, corrections: Mapping[Level, Correction]) -> Level:
    """The primary level whose corrected p is smallest; of equal ones the first in the fixed order."""
    scored = result.scored
    primary = (level for level in scored if level in plan.primary_levels)
    return min(primary, key=lambda level: (corrections[level].p, scored[level].p))


def _concluded(
    plan: Plan, result: F, corrections: Mapping[Level, Correction], decided_by: Level, reasons: Sequence[str]
) -> F:
    """The result with its corrections and what decided."""
    levels = {level: replace(found, corrected=corrections[level]) for level, found in result.scored.items()}
    return replace(
        result,
        levels={**result.levels, **levels},
        primary_levels=plan.primary_levels,
        decided_by=decided_by,
        tests=corrections[decided_by].together,
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
    return hashlib.sha256(canonical_json(codec.write(disclosure.as_logged(row.found)))).hexdigest()
