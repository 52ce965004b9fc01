"""What a calibration says: in a sentence, in rows for pages, and about one audit, for its page and its report."""

from collections.abc import Iterator, Sequence
from typing import Any

from audits.calibration import CalibrationTable, Rejections, Row
from audits.calibration.choice_pairs import BLOCK_SIZE, CHOICE, CHOICE_OMNIBUS
from audits.calibration.pairs import (
    ASSIGNMENT,
    IN_BLOCKS,
    RANK,
    RANK_STOPPED,
    TWO_SECRETS,
)
from audits.models import Audit, Calibration, Plan
from audits.planning.choice_words import ChoiceWords
from audits.services.calibrations.starting import table_of
from audits.services.code_version import computes_alike
from audits.services.plans.keyed_choices import OMNIBUS
from audits.services.plans.values import levels_of, words_of
from provenance import wording
from provenance.marks import MarkSettings, VersionsSettings
from provenance.marks.sets import ChoiceSettings
from provenance.models import User

LOOKED_THROUGH = 50  # finished calibrations, newest first, among which an audit's own is looked for

UNLIKE_DENSITY = {"confidence": "confidence", "caption": "density to the own caption"}  # scores of keyed choices


def sentence(table: CalibrationTable) -> str:
    """Whether the tests keep their error rate, for people."""
    exact = [row for row in table.rows if row.exact]
    pairs = wording.count(min(row.pairs for row in exact))
    if table.holds is not False:
        found = (
            f"over {pairs} pairs of a model that never saw a release and a random key, in each of {len(exact)} lines, "
            "none rejects more often than chance allows"
        )
        if table.holds:
            return f"The tests keep their error rate: {found}, and no interval (99 %) at alpha 0.05 reaches 10 %."
        wide = wording.part_of(len(table.too_wide), len(exact), "intervals (99 %) at alpha 0.05", "reaches,reach")
        return (
            f"There are too few pairs to tell whether the tests keep their error rate: {found}. Yet {wide} 10 %, twice "
            "the level."
        )
    worst = max(exact, key=lambda row: max(item.count / (item.alpha * row.pairs) for item in row.rejections))
    item = max(worst.rejections, key=lambda one: one.count / one.alpha)
    return (
        f"A test does not keep its error rate: “{worst.test}” ({worst.family}, {worst.level}) rejects "
        f"{wording.percent(item.rate)} of the models that never saw a release at alpha {item.alpha:g}."
    )


def others_sentence(table: CalibrationTable) -> str:
    """What the worst test without an exact error rate would have said of the same innocents; "" without one."""
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


def facts_for(audit: Audit) -> dict[str, Any] | None:
    """The calibration that stands behind one audit's test, for its report; None where none was ever finished.

    rows: the tests of its plan, others: those without an exact error rate, at the levels and for the families of
    the audit. pairs: least of all rows. differences: where a row is only the nearest calibrated test, how the audit's
    own differs.
    """
    calibration = _of_audit(audit)
    if calibration is None:
        return None
    plan, table, code = audit.plan, table_of(calibration), _code_of(audit)
    families, tests, levels = families_of(plan), tests_of(plan), levels_of(plan.suspect)
    # A release without any mark has no family; a keyed choice is the same test whatever the family beside it.
    concerned = [row for row in table.rows if (row.family in families or not families) and row.level in levels]
    if not plan.references.exists():
        concerned = [row for row in concerned if not row.references]
    rows = [row_facts(row) for row in concerned if row.exact and row.test in tests]
    shown = {row["test"] for row in rows}
    return {
        "id": str(calibration.pk),
        "calibrated_at": calibration.finished_at.isoformat(timespec="seconds") if calibration.finished_at else None,
        "code_version": calibration.code_version,
        "audit_code_version": code,
        "same_code": computes_alike(calibration.code_version, code),
        "holds": table.holds,
        "sentence": sentence(table),
        "others_sentence": others_sentence(table),
        "pairs": min((row["pairs"] for row in rows), default=0),
        "null_models": dict(table.made_with["models"]),
        "families_missing": [name for name in families if name not in calibration.settings["families"]],
        "rows": rows,
        "differences": [text for test, texts in tests.items() if test in shown for text in sorted(texts)],
        "others": [row_facts(row) for row in concerned if not row.exact],
    }


def note_for(audit: Audit, user: User) -> dict[str, Any]:
    """What the result page shows: `facts`, and the calibration itself where this person may open its page."""
    facts = facts_for(audit)
    page = Calibration.objects.for_user(user).filter(pk=facts["id"]).first() if facts else None
    return {"facts": facts, "calibration": page}


def families_of(plan: Plan) -> list[str]:
    """The mark families of the plan's releases."""
    return sorted(
        {one.family for release in plan.releases.select_related("key") for one in release.key.mark_sets.struck}
    )


def tests_of(plan: Plan) -> dict[str, set[str]]:
    """The calibrated tests that are those of this plan, or the nearest to them; then how the plan's own differ."""
    found: dict[str, set[str]] = {}
    for release in plan.releases.select_related("key"):
        sets = release.key.mark_sets.struck
        for one in sets:
            if one.is_plain:
                found.setdefault(RANK_STOPPED if plan.exceedances else RANK, set())
            elif one.restriction is None:
                found.setdefault(ASSIGNMENT, set())
            else:
                found.setdefault(IN_BLOCKS, set()).update(_unlike_two_blocks(one))
        if choice := release.key.mark_sets.choice:
            test = CHOICE_OMNIBUS if plan.membership_score == OMNIBUS else CHOICE
            found.setdefault(test, set()).update(_unlike_four_alternatives(plan, choice))
        if len(release.key.mark_sets) > 1:
            found.setdefault(TWO_SECRETS, set()).update(_unlike_two_secrets(sets, words_of([release])))
    return found


def _unlike_two_blocks(mark: MarkSettings) -> Iterator[str]:
    classes = len(set(mark.size_classes))
    own = [f"does so within {classes}"] if classes > 2 else []
    own += ["bans patterns from groups"] if mark.forbidden else []
    if own:
        yield (
            f"“{IN_BLOCKS}” is the nearest calibrated test: it exchanges patterns within two size classes. This audit "
            f"{' and '.join(own)}."
        )


def _unlike_four_alternatives(plan: Plan, choice: ChoiceSettings) -> Iterator[str]:
    own = [f"has {choice.block_size}"] if choice.block_size != BLOCK_SIZE else []
    own = ["has 2, the versions of one picture"] if isinstance(choice, VersionsSettings) else own
    own += [f"is tested by {by}"] if (by := UNLIKE_DENSITY.get(plan.membership_score)) else []
    if own:
        yield (
            f"“{CHOICE}” is the nearest calibrated test: each of its blocks has {BLOCK_SIZE} alternatives, and density "
            f"counts. This audit {' and '.join(own)}."
        )


def _unlike_two_secrets(sets: Sequence[MarkSettings], choice: ChoiceWords | None) -> Iterator[str]:
    keyed = [f"{choice.subject} among them"] if choice else []
    plain = ["plain ones among them"] if any(one.is_plain for one in sets) else []
    restricted = ["some with size classes or bans"] if any(one.restriction for one in sets) else []
    number = len(sets) + len(keyed)
    if number > 2 or plain or restricted or keyed:
        yield (
            f"“{TWO_SECRETS}” is the nearest calibrated test: it combines two mark sets with groups. This audit "
            f"combines {', '.join([f'{number} sets', *plain, *restricted, *keyed])}."
        )


def _code_of(audit: Audit) -> str:
    return str(audit.facts.get("code_version") or audit.plan.frozen.get("code_version", ""))


def _of_audit(audit: Audit) -> Calibration | None:
    """The one that says most: of all its families, by the code the audit ran with, of its organisation, the newest."""
    wanted, code = set(families_of(audit.plan)), _code_of(audit)
    found = list(Calibration.objects.finished().defer("table")[:LOOKED_THROUGH])  # newest first; max takes the first
    return max(
        found,
        key=lambda one: (
            len(wanted & set(one.settings["families"])),
            computes_alike(one.code_version, code),
            one.organisation_id == audit.plan.organisation_id,
        ),
        default=None,
    )
