"""From density scores of the true key and its decoys to p-values and controls (method.md, sections 5 and 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from audits.judging.assignments import Rules
from audits.statistics.density import DensityScores
from audits.statistics.ranktest import Floats, RankResult, StoppingRule, rank_test, sequential_rank_test, steady_scores

DECOY_QUANTILES = (0.05, 0.5, 0.95)
# Q is infinite where a key stands alone in a direction in which no other moves; JSON knows no infinity.
LARGEST_Q = 1e12


@dataclass(frozen=True)
class KeyScores:
    """What one model's answers say about K keys at one level.

    keys: density scores, the true key's first, then its decoys in their order; wrong: those of a key drawn as a
    control, where the model was asked; missing: answers that never came, scored as no shift.
    """

    keys: tuple[DensityScores, ...]
    wrong: DensityScores | None = None
    missing: int = 0

    @property
    def table(self) -> Floats:
        """(K, 3) on the steady scale."""
        return np.stack([steady_scores(scores) for scores in self.keys])

    @property
    def table_of_wrong(self) -> Floats | None:
        """The same with the wrong key in the true key's place."""
        if self.wrong is None:
            return None
        return np.vstack([steady_scores(self.wrong), self.table[1:]])


@dataclass(frozen=True)
class LevelTests:
    """The test at one level, without references and, where there are any, with them."""

    without: RankResult
    controlled: RankResult | None

    @property
    def results(self) -> list[RankResult]:
        return [self.without] if self.controlled is None else [self.without, self.controlled]


def rank_level(scores: KeyScores, references: Mapping[str, KeyScores], rule: StoppingRule) -> LevelTests:
    """Both tests on the keys asked so far."""
    table, others = scores.table, [reference.table for reference in references.values()]
    controlled = sequential_rank_test(table, rule, others) if others else None
    return LevelTests(sequential_rank_test(table, rule), controlled)


def judge_ranks(
    tests: LevelTests, scores: KeyScores, references: Mapping[str, KeyScores], rules: Rules
) -> dict[str, Any]:
    """Everything that one level says about one release with plain marks, ready for JSON.

    Keys of the answer: p (the one that counts), p_without, p_with (None without references), smallest_p, without,
    with (the tests), densities ("true": the true key's scores, which stay in the owner's house; "decoys": quantiles),
    controls, tainted (references that react to the key themselves), missing. Nothing in it is in the order of the
    keys, so the true one cannot be told but by its Q.
    """
    counted = tests.controlled if rules.decide_with_references and tests.controlled else tests.without
    controls: list[dict[str, Any]] = []
    wrong = scores.table_of_wrong
    if wrong is not None:
        controls.append({"name": "A wrong key", "kind": "wrong key", "tail": "high", "p": rank_test(wrong).p})
    others = {name: reference.table for name, reference in references.items()}
    tainted = []
    for name, table in others.items():
        alone = rank_test(table)
        left = [other for rest, other in others.items() if rest != name]
        controls.append({"name": name, "kind": "reference", "tail": "high", "p": alone.p})
        controls.append({"name": name, "kind": "reference", "tail": "low", "p": alone.p_lower})
        if left:  # the only reference has no others to be regressed out
            controls.append({"name": name, "kind": "reference left out", "tail": "high", "p": rank_test(table, left).p})
        # Two tails of every reference: each gets its share of alpha.
        if 2 * len(others) * min(alone.p, alone.p_lower) <= rules.alpha:
            tainted.append(name)
    return {
        "p": counted.p,
        "p_without": tests.without.p,
        "p_with": tests.controlled.p if tests.controlled else None,
        "smallest_p": counted.smallest_p,
        "without": rank_facts(tests.without),
        "with": rank_facts(tests.controlled) if tests.controlled else None,
        "densities": {"true": asdict(scores.keys[0]), "decoys": _quantiles(scores.keys[1:])},
        "controls": controls,
        "tainted": tainted,
        "missing": scores.missing,
    }


def rank_facts(result: RankResult) -> dict[str, Any]:
    """A rank test, ready for JSON: the decoys' Q in ascending order, which tells nothing about who is who."""
    q = np.minimum(result.distances, LARGEST_Q)
    return {
        "statistic": float(q[0]),
        "p": result.p,
        "p_lower": result.p_lower,
        "exceedances": result.exceedances,
        "decoys": result.decoys,
        "planned": result.planned,
        "stopped": result.stopped,
        "looks": result.looks,
        "smallest_p": result.smallest_p,
        "distances": [float(value) for value in np.sort(q[1:])],
    }


def _quantiles(decoys: tuple[DensityScores, ...]) -> dict[str, list[float]]:
    rows = [asdict(scores) for scores in decoys]
    return {name: [float(q) for q in np.quantile([row[name] for row in rows], DECOY_QUANTILES)] for name in rows[0]}
