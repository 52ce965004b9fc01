"""What the result page says about levels, mark sets and restricted assignments: plain rows and sentences.

They draw what `visible_result` let through.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from audits.judging.controls import is_small, small_ones
from audits.judging.disclosure import CombinedView, RestrictedCounts, SetView, View
from audits.judging.levels import AnyLevel, Control, Correction
from audits.judging.result import Restricted
from audits.models import Plan
from audits.planning.choice_words import WORDS
from audits.statistics.density import Level
from provenance.wording import count

FAMILY_WORDS = {
    "associated": "a pattern per group",
    "plain": "one pattern, no groups",
}


@dataclass(frozen=True)
class LevelRow:
    """A scored level of a release, with what its correction says. primary: it may decide."""

    label: str
    primary: bool
    decides: bool
    level: AnyLevel

    @property
    def corrected(self) -> Correction | None:
        return self.level.corrected


@dataclass(frozen=True)
class SetRow:
    """A mark set, and what it says by itself at one level, None where it could not be tested there."""

    number: int | None
    family: str | None
    ways: str
    level: AnyLevel | None


def level_rows(shown: View) -> list[LevelRow]:
    """In the fixed order."""
    return [
        LevelRow(str(Plan.Level(name).label), name in shown.primary, name == shown.deciding, level)
        for name, level in shown.scored.items()
    ]


def correction_reasons(rows: Sequence[LevelRow]) -> list[str]:
    """Why the p-values are corrected as they are, each reason once, with the levels that share it."""
    named: dict[str, list[str]] = {}
    for row in rows:
        if row.corrected:
            named.setdefault(row.corrected.reason, []).append(row.label)
    return [f"{' and '.join(labels).capitalize()}: {reason}" for reason, labels in named.items()]


def control_rows(level: AnyLevel) -> list[tuple[Control, bool]]:
    """The controls of a level, each with whether its p is small."""
    return [(control, is_small(control.p)) for control in level.controls]


def controls_sentence(level: AnyLevel, alpha: float) -> str:
    """How many of them are small, and how many chance gives; empty where there are none."""
    return small_ones([control.p for control in level.controls], alpha) if level.controls else ""


def set_rows(shown: View, level: Level) -> list[SetRow]:
    """The mark sets of a release and what each says by itself at one level; none where it has one only."""
    sets = shown.sets if isinstance(shown, CombinedView) else ()
    return [SetRow(one.set, one.family, _ways(one), one.scored.get(level)) for one in sets]


def _ways(one: SetView) -> str:
    known = WORDS.get(one.family or "")
    return known.way if known else FAMILY_WORDS[one.association or "associated"]


def restriction_sentence(restriction: Restricted | RestrictedCounts | None, groups: int) -> str:
    """Among which assignments the key drew and the test permutes; empty where those are all.

    Says how many classes and bans there are, never which groups they are about.
    """
    if not restriction:
        return ""
    parts = [f"within {restriction.classes} size classes"] if restriction.classes > 1 else []
    bans = restriction.forbidden
    if bans:
        parts.append(f"with {count(bans)} pair{'s' if bans > 1 else ''} of pattern and group left out")
    every = math.factorial(groups)
    possible = count(restriction.possible) if restriction.possible else "some"
    return f"Patterns are permuted only {', '.join(parts)}: {possible} of {count(every)} assignments are possible."
