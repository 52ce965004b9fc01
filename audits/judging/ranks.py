"""From density scores of the true key and its decoys to p-values and controls (method.md, sections 5 and 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from audits.asking.measuring import KEY, WRONG, Answers
from audits.judging.assignments import Rules
from audits.judging.controls import controls_of_references, tainted
from audits.judging.levels import Control, DensityQuantiles, KeyDensities, RankLevel, RankTest
from audits.judging.scoring import available_levels, score_keys
from audits.statistics.density import DegenerateAnswersError, DensityScores, Level
from audits.statistics.ranktest import Floats, RankResult, StoppingRule, rank_test, sequential_rank_test, steady_scores

DECOY_QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class KeyScores:
    """What one model's answers say about K keys at one level.

    keys: density scores, the true key's first, then its decoys in their order; wrong: those of a key drawn as a
    control, where the model was asked; missing: answers that never came, scored as no shift.
    """

    keys: tuple[DensityScores, ...]
    wrong: DensityScores | None = None
    missing: int = 0

    @classmethod
    def joined(cls, parts: Sequence[KeyScores]) -> KeyScores:
        """Of all keys, where a model was asked about some after others; the wrong key's from the first part."""
        keys = tuple(scores for part in parts for scores in part.keys)
        return cls(keys, parts[0].wrong, sum(part.missing for part in parts))

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


def score_ranks(answers: Answers, keys: range) -> tuple[dict[Level, KeyScores], dict[Level, str]]:
    """Of these keys, the true one's number being 0, at all levels that can be scored; for those that cannot, why."""
    scored: dict[Level, KeyScores] = {}
    reasons: dict[Level, str] = {}
    for level in available_levels(answers):
        try:
            scores, missing = score_keys(answers, level, KEY, keys)
            wrong = score_keys(answers, level, WRONG, range(1))[0][0] if answers.has_wrong_key else None
        except DegenerateAnswersError as error:
            reasons[level] = error.sentence
        else:
            scored[level] = KeyScores(tuple(scores), wrong, missing)
    return scored, reasons


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


def judge_ranks(tests: LevelTests, scores: KeyScores, references: Mapping[str, KeyScores], rules: Rules) -> RankLevel:
    """Everything that one level says about one release with plain marks.

    Nothing in it is in the order of the keys, so the true one cannot be told but by its Q, and by its own densities,
    which stay in the owner's house.
    """
    counted = tests.controlled if rules.decide_with_references and tests.controlled else tests.without
    controls: list[Control] = []
    wrong = scores.table_of_wrong
    if wrong is not None:
        controls.append(Control("A wrong key", "wrong key", "high", rank_test(wrong).p))
    others = {name: reference.table for name, reference in references.items()}
    controls += controls_of_references(others, lambda table, left, _: rank_test(table, left))
    return RankLevel(
        p=counted.p,
        p_without=tests.without.p,
        p_with=tests.controlled.p if tests.controlled else None,
        smallest_p=counted.smallest_p,
        without=RankTest.of(tests.without),
        with_references=RankTest.of(tests.controlled) if tests.controlled else None,
        densities=KeyDensities(decoys=_quantiles(scores.keys[1:]), true=scores.keys[0]),
        controls=tuple(controls),
        tainted=tainted(controls, rules.alpha),
        missing=scores.missing,
    )


def _quantiles(decoys: tuple[DensityScores, ...]) -> DensityQuantiles:
    rows = [asdict(scores) for scores in decoys]
    return DensityQuantiles(
        **{name: tuple(np.quantile([row[name] for row in rows], DECOY_QUANTILES).tolist()) for name in rows[0]}
    )
