"""Several mark sets of one release: what their tests say together at one level (method.md, sections 4 to 6).

Every set has been judged by itself (`assignments`, `ranks`); here their p-values become one.

Why they may be combined: take a model that never saw the release, and hold fixed the model, the images and everything
about the sets but their secrets proper: of an associated set the assignment, of a plain one which of its keys is the
true one. Patterns, probes and places are drawn for purposes of their own, probes and group images leave out the
candidates of every set whatever was marked in the end, and decoys and permutations are drawn for each set by itself.
So what a model is asked, and how its answers are scored, does not depend on another set's secret, each p-value is a
function of its own set's secret alone, and these secrets are drawn independently of each other. That both sets
are asked of the same model, and partly about the same images, changes the tables that are tested, not the draw among
their cells. A test that looked at two sets at once, to stop early or to choose which one counts, would break this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from audits.judging.assignments import Rules
from audits.statistics.combination import Combination, combine
from audits.statistics.density import LEVELS


def combine_levels(sets: Sequence[Mapping[str, Any]], rules: Rules) -> dict[str, Any]:
    """All levels of several sets; each entry holds what one set says by level, or {"reason": why not}.

    A level at which one set could not be tested is not tested at all: nobody chooses which sets count.
    """
    levels: dict[str, Any] = {}
    for level in LEVELS:
        found = [one[level] for one in sets if level in one]
        reasons = [
            f"Mark set {n}: {one[level]['reason']}" for n, one in enumerate(sets, 1) if "reason" in one.get(level, {})
        ]
        if reasons:
            levels[level] = {"reason": " ".join(reasons)}
        elif len(found) == len(sets):
            levels[level] = combine_level(found, rules)
    return levels


def combine_level(sets: Sequence[Mapping[str, Any]], rules: Rules) -> dict[str, Any]:
    """One level of several sets as `judge_level` or `judge_ranks` described each, in the sets' order; for JSON.

    Keys of the answer: as for a single set, but "without" and "with" are combinations, and there is nothing about
    single patterns. Controls are combined like the p-values; one that some set lacks is left out.
    """
    without = _combined(sets, "without")
    controlled = _combined(sets, "with") if all(one["with"] for one in sets) else None
    counted = controlled if rules.decide_with_references and controlled else without
    name = "with" if counted is controlled else "without"
    controls = _controls(sets)
    return {
        "p": counted.p,
        "p_without": without.p,
        "p_with": controlled.p if controlled else None,
        "smallest_p": _smallest(counted, [one[name] for one in sets]),
        "without": asdict(without),
        "with": asdict(controlled) if controlled else None,
        "controls": controls,
        "tainted": _tainted(controls, sets, rules.alpha),
        "missing": sum(one["missing"] for one in sets),
    }


def grid_of(test: Mapping[str, Any]) -> int | None:
    """n where the p of a stored test is one of 1/n … n/n, None where it has no single grid.

    A rank test has one only if its plan gave it no chance to stop early.
    """
    if "decoys" in test:
        return int(test["decoys"]) + 1 if test["looks"] == 1 and not test["stopped"] else None
    return int(test["permutations"]) + (0 if test["exact"] else 1)


def _combined(sets: Sequence[Mapping[str, Any]], name: str) -> Combination:
    return combine([one[name]["p"] for one in sets], [grid_of(one[name]) for one in sets])


def _smallest(found: Combination, tests: Sequence[Mapping[str, Any]]) -> float:
    """What the sets' own smallest p-values would give together, where no grid says it."""
    if found.smallest_p is not None:
        return found.smallest_p
    return combine([test["smallest_p"] for test in tests]).p


def _controls(sets: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every control that all sets have, in the order of the first; on the same grids as the sets' own tests."""
    grids = [grid_of(one["without"]) for one in sets]
    tables = [{_named(control): control["p"] for control in one["controls"]} for one in sets]
    return [
        control | {"p": combine([table[_named(control)] for table in tables], grids).p}
        for control in sets[0]["controls"]
        if all(_named(control) in table for table in tables)
    ]


def _named(control: Mapping[str, Any]) -> tuple[str, str, str]:
    return control["name"], control["kind"], control["tail"]


def _tainted(combined: Sequence[Mapping[str, Any]], sets: Sequence[Mapping[str, Any]], alpha: float) -> list[str]:
    """References that react to the sets together, or to one of them so strongly that it stands out among all."""
    found = _smallest_tails(combined)
    single = [_smallest_tails(one["controls"]) for one in sets]
    names = []
    for name, p in found.items():
        strongest = len(sets) * min(tails[name] for tails in single)
        # Two tails of every reference: each gets its share of alpha.
        if 2 * len(found) * min(p, strongest) <= alpha:
            names.append(name)
    return names


def _smallest_tails(controls: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    tails: dict[str, float] = {}
    for control in controls:
        if control["kind"] == "reference":
            tails[control["name"]] = min(control["p"], tails.get(control["name"], 1.0))
    return tails
