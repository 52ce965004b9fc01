"""Several mark sets of one release: what their tests say together at one level (docs/method.md, section 7).

Every set has been judged by itself (`assignments`, `ranks`); here their p-values become one. That is exact only as long
as no test looks at two sets at once, to stop early or to choose which one counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from audits.judging.assignments import Rules
from audits.judging.levels import AnyLevel, CombinedLevel, Control, SingleLevel, SingleTest, Unscored
from audits.statistics.combination import Combination, combine
from audits.statistics.density import LEVELS, Level


def combine_levels(
    sets: Sequence[Mapping[Level, SingleLevel | Unscored]], rules: Rules
) -> dict[Level, CombinedLevel | Unscored]:
    """All levels of several sets; each entry holds what one set says by level.

    A level at which one set could not be tested is not tested at all: nobody chooses which sets count.
    """
    levels: dict[Level, CombinedLevel | Unscored] = {}
    for level in LEVELS:
        named = [(number, one[level]) for number, one in enumerate(sets, 1) if level in one]
        reasons = [f"Mark set {number}: {one.reason}" for number, one in named if isinstance(one, Unscored)]
        found = [one for _, one in named if not isinstance(one, Unscored)]
        if reasons:
            levels[level] = Unscored(" ".join(reasons))
        elif len(found) == len(sets):
            levels[level] = combine_level(found, rules)
    return levels


def combine_level(sets: Sequence[SingleLevel], rules: Rules) -> CombinedLevel:
    """One level of several sets as `judge_level` or `judge_ranks` described each, in the sets' order.

    Controls are combined like the p-values; one that some set lacks is left out.
    """
    alone, beside = [one.without for one in sets], [one.with_references for one in sets if one.with_references]
    without = _combined(alone)
    controlled = _combined(beside) if len(beside) == len(sets) else None
    counted, tests = (controlled, beside) if rules.decide_with_references and controlled else (without, alone)
    controls = _controls(sets)
    return CombinedLevel(
        p=counted.p,
        p_without=without.p,
        p_with=controlled.p if controlled else None,
        smallest_p=_smallest(counted, tests),
        without=without,
        with_references=controlled,
        controls=tuple(controls),
        tainted=tuple(_tainted(controls, sets, rules.alpha)),
        missing=sum(one.missing for one in sets),
    )


def _combined(tests: Sequence[SingleTest]) -> Combination:
    return combine([test.p for test in tests], [test.grid for test in tests])


def _smallest(found: Combination, tests: Sequence[SingleTest]) -> float:
    """What the sets' own smallest p-values would give together, where no grid says it."""
    if found.smallest_p is not None:
        return found.smallest_p
    return combine([test.smallest_p for test in tests]).p


def _controls(sets: Sequence[SingleLevel]) -> list[Control]:
    """Every control that all sets have, in the order of the first; on the same grids as the sets' own tests."""
    grids = [one.without.grid for one in sets]
    tables = [{_named(control): control.p for control in one.controls} for one in sets]
    return [
        replace(control, p=combine([table[_named(control)] for table in tables], grids).p)
        for control in sets[0].controls
        if all(_named(control) in table for table in tables)
    ]


def _named(control: Control) -> tuple[str, str, str]:
    return control.name, control.kind, control.tail


def _tainted(combined: Sequence[Control], sets: Sequence[AnyLevel], alpha: float) -> list[str]:
    """References that react to the sets together, or to one of them so strongly that it stands out among all."""
    found = _smallest_tails(combined)
    single = [_smallest_tails(one.controls) for one in sets]
    names = []
    for name, p in found.items():
        strongest = len(sets) * min(tails[name] for tails in single)
        # Two tails of every reference: each gets its share of alpha.
        if 2 * len(found) * min(p, strongest) <= alpha:
            names.append(name)
    return names


def _smallest_tails(controls: Sequence[Control]) -> dict[str, float]:
    tails: dict[str, float] = {}
    for control in controls:
        if control.kind == "reference":
            tails[control.name] = min(control.p, tails.get(control.name, 1.0))
    return tails
