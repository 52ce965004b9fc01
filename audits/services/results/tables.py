"""What the result page says about levels, mark sets and restricted assignments: plain rows and sentences.

They draw what `visible_result` let through, older results included, which know fewer keys.
"""

import math
from typing import Any

from audits.models import AuditRow, Plan

FAMILY_WORDS = {"associated": "a pattern per group", "plain": "one pattern, no groups"}


def deciding_level(row: AuditRow) -> str:
    """The primary level whose corrected p is smallest; older rows had one level only."""
    return row.level or str(row.result["level"])


def level_rows(row: AuditRow, levels: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per scored level of a release, in the fixed order, with what its correction says."""
    primary = row.result.get("primary_levels") or [row.result["level"]]
    return [
        {
            "label": Plan.Level(name).label,
            "primary": name in primary,
            "decides": name == deciding_level(row),
            "level": levels[name],
            "corrected": levels[name].get("corrected"),
        }
        for name in Plan.Level.values
        if "p" in levels.get(name, {})
    ]


def correction_reasons(rows: list[dict[str, Any]]) -> list[str]:
    """Why the p-values are corrected as they are, each reason once, with the levels that share it."""
    named: dict[str, list[str]] = {}
    for entry in rows:
        if entry["corrected"]:
            named.setdefault(entry["corrected"]["reason"], []).append(str(entry["label"]))
    return [f"{' and '.join(labels).capitalize()}: {reason}" for reason, labels in named.items()]


def set_rows(result: dict[str, Any], level: str) -> list[dict[str, Any]]:
    """The mark sets of a release and what each says by itself at one level."""
    rows = []
    for one in result.get("sets", []):
        found = one["levels"].get(level, {})
        rows.append(
            {
                "number": one["set"],
                "family": one["family"],
                "ways": FAMILY_WORDS[one["association"]],
                "level": found if "p" in found else None,
            }
        )
    return rows


def restriction_sentence(restriction: dict[str, Any] | None, groups: int) -> str:
    """Among which assignments the key drew and the test permutes; empty where those are all.

    Says how many classes and bans there are, never which groups they are about.
    """
    if not restriction:
        return ""
    classes = restriction["size_classes"]
    number = len(set(classes)) if isinstance(classes, list) else classes
    parts = [f"within {number} size classes"] if number > 1 else []
    bans = restriction["forbidden"]
    if bans:
        parts.append(f"with {bans:,} pair{'s' if bans > 1 else ''} of pattern and group left out")
    every = math.factorial(groups)
    possible = f"{restriction['possible']:,}" if restriction["possible"] else "some"
    return f"Patterns are permuted only {', '.join(parts)}: {possible} of {every:,} assignments are possible."
