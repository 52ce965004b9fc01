"""What a calibration says: in a sentence, in rows for pages, and about one audit, for its page and its report."""

from collections.abc import Sequence
from typing import Any

from audits.calibration import CalibrationTable, Rejections, Row
from audits.calibration.pairs import ASSIGNMENT, IN_BLOCKS, RANK, RANK_STOPPED, TWO_SECRETS
from audits.models import Audit, Calibration, Plan
from audits.services.calibrations import table_of
from audits.services.plan_values import levels_of
from provenance import wording
from provenance.models import User

RELIABLE_PAIRS = 500  # a line; with fewer a table is not to be relied on, as the form says
LOOKED_THROUGH = 50  # finished calibrations, newest first, among which an audit's own is looked for


def sentence(table: CalibrationTable) -> str:
    """Whether the tests keep their error rate, for people."""
    exact = [row for row in table.rows if row.exact]
    least = min(row.pairs for row in exact)
    pairs = wording.count(least)
    if table.holds and least < RELIABLE_PAIRS:
        return (
            f"No fault was found, but only a coarse one would show: over {pairs} pairs of a model that never saw a "
            f"release and a random key, in each of {len(exact)} lines, none rejects more often than chance allows."
        )
    if table.holds:
        return (
            f"The tests keep their error rate: over {pairs} pairs of a model that never saw a release and a random "
            f"key, in each of {len(exact)} lines, none rejects more often than chance allows."
        )
    worst = max(exact, key=lambda row: max(item.count / (item.alpha * row.pairs) for item in row.rejections))
    item = max(worst.rejections, key=lambda one: one.count / one.alpha)
    return (
        f"A test does not keep its error rate: “{worst.test}” ({worst.family}, {worst.level}) rejects "
        f"{wording.percent(item.rate)} of the models that never saw a release at alpha {item.alpha:g}."
    )


def others_sentence(table: CalibrationTable) -> str:
    """What the worst verifier without an exact error rate would have said of the same innocents; "" without one."""
    naive = [row for row in table.rows if not row.exact]
    if not naive:
        return ""
    worst = max(naive, key=lambda row: row.rejections[0].rate)
    item = worst.rejections[0]
    return (
        f"From the same answers, “{worst.test}” ({worst.family}, {worst.level}) accuses "
        f"{wording.percent(item.rate)} of these innocent models at a nominal alpha of {item.alpha:g}."
    )


def row_facts(row: Row) -> dict[str, Any]:
    """One line of the table for pages, reports and JSON; rates from 0 to 1, its quantiles left out."""
    return {
        "test": row.test,
        "level": row.level,
        "family": row.family,
        "references": row.references,
        "pairs": row.pairs,
        "rejections": [_rejections(item) for item in row.rejections],
        "distance": row.distance,
        "critical": row.critical,
    }


def _rejections(item: Rejections) -> dict[str, Any]:
    return {
        "alpha": item.alpha,
        "count": item.count,
        "rate": item.rate,
        "low": item.low,
        "high": item.high,
        "finding": item.finding,
    }


def by_test(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows of one family for a table: a part for each test, a line for each level, without and with references."""
    found: dict[str, dict[str, dict[bool, dict[str, Any]]]] = {}
    for row in rows:
        found.setdefault(row.test, {}).setdefault(row.level, {})[row.references] = row_facts(row)
    return [
        {"test": test, "lines": [_line(level, pair) for level, pair in levels.items()]}
        for test, levels in found.items()
    ]


def _line(level: str, pair: dict[bool, dict[str, Any]]) -> dict[str, Any]:
    without, controlled = pair[False], pair.get(True)
    rates = [
        {"without": item, "with_references": controlled["rejections"][place] if controlled else None}
        for place, item in enumerate(without["rejections"])
    ]
    return {"level": level, "without": without, "with_references": controlled, "rates": rates}


def facts_for(plan: Plan, audit: Audit | None = None) -> dict[str, Any] | None:
    """The calibration that stands behind one plan's test, for its report; None where none was ever finished.

    Keys: id, calibrated_at, code_version, audit_code_version, same_code, holds, sentence, others_sentence, pairs
    (least of all rows), null_models by kind, families_missing, rows and others as in `row_facts`: the tests of this
    plan, and the verifiers without an exact error rate, at the levels that its suspect returns, for the families of
    its releases.
    """
    found = _of_plan(plan, audit)
    if found is None:
        return None
    calibration, table = found, table_of(found)
    code, families, tests, levels = _code_of(plan, audit), families_of(plan), tests_of(plan), levels_of(plan.suspect)
    concerned = [row for row in table.rows if row.family in families and row.level in levels]
    if not plan.references.exists():
        concerned = [row for row in concerned if not row.references]
    rows = [row_facts(row) for row in concerned if row.exact and row.test in tests]
    return {
        "id": str(calibration.pk),
        "calibrated_at": calibration.finished_at.isoformat(timespec="seconds") if calibration.finished_at else None,
        "code_version": calibration.code_version,
        "audit_code_version": code,
        "same_code": calibration.code_version == code,
        "holds": table.holds,
        "sentence": sentence(table),
        "others_sentence": others_sentence(table),
        "pairs": min((row["pairs"] for row in rows), default=0),
        "null_models": dict(table.made_with["models"]),
        "families_missing": [name for name in families if name not in calibration.settings["families"]],
        "rows": rows,
        "others": [row_facts(row) for row in concerned if not row.exact],
    }


def note_for(plan: Plan, user: User, audit: Audit | None = None) -> dict[str, Any]:
    """What the result page shows: `facts`, and the calibration itself where this person may open its page."""
    facts = facts_for(plan, audit)
    page = Calibration.objects.for_user(user).filter(pk=facts["id"]).first() if facts else None
    return {"facts": facts, "calibration": page}


def families_of(plan: Plan) -> list[str]:
    """The mark families of the plan's releases."""
    return sorted({one.family for release in plan.releases.select_related("key") for one in release.key.mark_sets})


def tests_of(plan: Plan) -> set[str]:
    """Names of the calibrated tests that this plan runs."""
    found = set()
    for release in plan.releases.select_related("key"):
        sets = release.key.mark_sets
        for one in sets:
            if one.is_plain:
                found.add(RANK_STOPPED if plan.exceedances else RANK)
            else:
                found.add(ASSIGNMENT if one.restriction is None else IN_BLOCKS)
        if len(sets) > 1:
            found.add(TWO_SECRETS)
    return found


def _code_of(plan: Plan, audit: Audit | None) -> str:
    return str((audit.facts.get("code_version") if audit else "") or plan.frozen.get("code_version", ""))


def _of_plan(plan: Plan, audit: Audit | None) -> Calibration | None:
    """The one that says most: of all its families, by the code the audit ran with, of its organisation, the newest."""
    wanted, code = set(families_of(plan)), _code_of(plan, audit)
    found = list(Calibration.objects.finished().defer("table")[:LOOKED_THROUGH])  # newest first; max takes the first
    return max(
        found,
        key=lambda one: (
            len(wanted & set(one.settings["families"])),
            one.code_version == code,
            one.organisation_id == plan.organisation_id,
        ),
        default=None,
    )
