"""What a p-value of a pilot or a table of robustness rests on: a level, or that of features by one of its scores.

A plan declares one score; whoever has no plan to make yet is told what each would say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Literal, get_args

from audits.judging.assignments import Rules
from audits.judging.choices import OMNIBUS, Choices, judge_choice
from audits.judging.levels import ChoiceLevel
from audits.judging.membership import CAPTION, MembershipScores
from audits.statistics.density import LEVELS, Level

Basis = Literal["features", "features / caption", "features / omnibus", "soft", "hard"]
BASES: tuple[Basis, ...] = get_args(Basis)
BY_CAPTION: Basis = "features / caption"
BY_OMNIBUS: Basis = "features / omnibus"
SAYS = (
    "“features / caption” is how close views come to the image’s own caption, “features / omnibus” the more telling of "
    "this and of density; an audit counts what its plan declares beforehand."
)


def bases_shown(judged: Iterable[Collection[Basis]]) -> list[Basis]:
    """Columns of a table: all levels, and single scores where anything was judged by them."""
    there = {basis for one in judged for basis in one}
    return [basis for basis in BASES if basis in LEVELS or basis in there]


def judge_beside(
    level: Level,
    suspect: MembershipScores,
    references: Mapping[str, MembershipScores],
    choices: Choices,
    rules: Rules,
    release: str,
) -> dict[Basis, ChoiceLevel]:
    """As `judge_choice`, had the plan declared the own caption, or the omnibus; nothing where not all read captions."""
    if level != "features" or not all(CAPTION in one.scores for one in (suspect, *references.values())):
        return {}
    return {
        basis: judge_choice(level, suspect, references, choices, replace(rules, score=score), release)
        for basis, score in ((BY_CAPTION, CAPTION), (BY_OMNIBUS, OMNIBUS))
    }


def areas(level: Level, judged: ChoiceLevel) -> dict[Basis, float]:
    """AUC of a level by density and, where it was asked for, by the own caption."""
    found: dict[Basis, float] = {}
    for test in judged.scores:
        if test.auc is not None and test.score in ("density", CAPTION):
            found[BY_CAPTION if test.score == CAPTION else level] = test.auc
    return found
