"""p-values of pairs (null model, random key), by every test, from responses that were computed once.

What is drawn anew for every pair, what pairs of a round share, and why binomial intervals over them are right:
docs/method.md, section 8.1. NumPy only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audits.calibration.bench import Bench
from audits.calibration.choice_pairs import Drawn, choices_of_pair, others_of_choice
from audits.calibration.responses import LevelResponses, Responses
from audits.other_tests import gmm_likelihood, label_verdict, middle_label_verdict, paired_verdicts, view_consistency
from audits.statistics.combination import combine
from audits.statistics.density import LEVELS, Level
from audits.statistics.permutation import PermutationResult, permutation_test, philox_from
from audits.statistics.ranktest import StoppingRule, sequential_rank_test
from audits.statistics.restricted import restricted_test
from provenance.errors import TouchmarkError
from provenance.keying import keyed_permutation, philox
from provenance.marks.restriction import Restriction

ASSIGNMENT, IN_BLOCKS, TWO_SECRETS = "assignment", "assignment in blocks", "two secrets combined"
RANK, RANK_STOPPED = "rank", "rank with early stop"


class PairsError(TouchmarkError):
    """Settings with which no pair can be tested; the sentence says what to change."""


class Cell(NamedTuple):
    """One line of the table to be. exact: the test claims an exact error rate; the tests of others do not."""

    test: str
    level: str
    references: bool
    exact: bool


@dataclass(frozen=True)
class PairRules:
    """How pairs are tested.

    references: how many other models control for what marks do to any model. permutations: drawn where G > 9.
    decoys, block, exceedances: of the rank test and its early stop. slow_pairs: at most so many pairs per other test
    that takes tens of milliseconds (mixtures, views, all patterns' labels).
    """

    references: int = 2
    permutations: int = 999
    decoys: int = 29
    block: int = 10
    exceedances: int = 3
    slow_pairs: int = 200


def pair_p_values(
    responses: Sequence[Responses],
    bench: Bench,
    rules: PairRules,
    pairs: int,
    seed: int,
    on_pair: Callable[[], None] = lambda: None,
) -> dict[Cell, list[Drawn]]:
    """`pairs` p-values for every test and level, with and without references, and of the tests of others.

    on_pair: called before every pair; it may raise to stop. Raises PairsError where the bench has too few keys or
    models for the rules.
    """
    if rules.decoys + 1 > len(bench.plain_patterns):
        raise PairsError(f"{rules.decoys} decoys need a pool of at least {rules.decoys + 1} plain keys.")
    found: dict[Cell, list[Drawn]] = {}
    for number, level in enumerate(LEVELS):
        able = [response for response in responses if level in response.levels]
        if not able:
            continue
        if len(able) <= rules.references:
            raise PairsError(f"{rules.references} references need at least {rules.references + 1} models per round.")
        rng = np.random.default_rng([seed, number])
        for pair in range(pairs):
            on_pair()
            order = rng.permutation(len(able))[: rules.references + 1]
            suspect, *others = (able[i].levels[level] for i in order)
            for counted in (False, True) if rules.references else (False,):
                label = f"{seed}/{level}/{pair}/{counted}"
                given = others if counted else []
                for test, drawn in _exact(suspect, given, bench, rules, rng, label):
                    found.setdefault(Cell(test, level, counted, True), []).append(drawn)
            for test, p in _naive(able[order[0]], level, bench.groups, rng, pair < rules.slow_pairs):
                found.setdefault(Cell(test, level, False, False), []).append(Drawn(p, None))
            shadows = [other.membership for other in others]
            for verdict in others_of_choice(suspect.membership, shadows, np.random.default_rng([seed, number, pair])):
                found.setdefault(Cell(verdict.test, level, bool(verdict.shadows), False), []).append(verdict.drawn)
            if level == "features" and pair < rules.slow_pairs:
                for test, p in _slow(able, int(order[0]), bench, rng):
                    found.setdefault(Cell(test, level, False, False), []).append(Drawn(p, None))
    return found


def _exact(
    suspect: LevelResponses,
    others: Sequence[LevelResponses],
    bench: Bench,
    rules: PairRules,
    rng: np.random.Generator,
    label: str,
) -> Iterator[tuple[str, Drawn]]:
    """Every test of the project on one pair."""
    groups = bench.groups

    def test_set(which: int, run: Callable[..., PermutationResult], *extra: object) -> PermutationResult:
        references = [other.pulls[which] for other in others]
        stream = philox_from(label, f"{run.__name__}/{which}")
        return run(suspect.pulls[which], *extra, rules.permutations, stream, references)

    sets = rng.permutation(len(suspect.pulls))
    first = test_set(sets[0], permutation_test, _fresh_assignment(rng, groups))
    yield ASSIGNMENT, Drawn(first.p, _grid(first))
    if len(sets) > 1:
        second = test_set(sets[1], permutation_test, _fresh_assignment(rng, groups))
        yield TWO_SECRETS, Drawn(combine([first.p, second.p], [_grid(first), _grid(second)]).p, None)
    halves = _halves(groups)
    blocked = test_set(sets[0], restricted_test, halves.draw(1, _fresh_generator(rng))[0], halves)
    yield IN_BLOCKS, Drawn(blocked.p, _grid(blocked))
    keys = rng.permutation(len(suspect.scores))[: rules.decoys + 1]
    tables = [other.scores[keys] for other in others]
    plain = sequential_rank_test(suspect.scores[keys], StoppingRule(rules.decoys), tables)
    yield RANK, Drawn(plain.p, rules.decoys + 1)
    rule = StoppingRule(rules.decoys, rules.block, rules.exceedances)
    yield RANK_STOPPED, Drawn(sequential_rank_test(suspect.scores[keys], rule, tables).p, None)
    yield from choices_of_pair(suspect.membership, [other.membership for other in others], rules.permutations, rng)


@cache
def _halves(groups: int) -> Restriction:
    """Two blocks of groups, as if one half were large and the other small."""
    return Restriction.within([int(2 * group >= groups) for group in range(groups)])


def _grid(result: PermutationResult) -> int:
    return result.permutations + (0 if result.exact else 1)


def _fresh_generator(rng: np.random.Generator) -> np.random.Generator:
    return philox(rng.bytes(32), rng.bytes(32), "assignment")


def _fresh_assignment(rng: np.random.Generator, groups: int) -> NDArray[np.int64]:
    """The assignment of a fresh key, derived as `MarkSecret.derive` does."""
    return keyed_permutation(_fresh_generator(rng), groups)


def _naive(
    response: Responses, level: Level, groups: int, rng: np.random.Generator, slow: bool
) -> Iterator[tuple[str, float]]:
    """The common paired tests of one release, with a fresh key's assignment; slow: also those that take long."""
    own = response.levels[level]
    which, assignment = int(rng.integers(len(own.pulls))), _fresh_assignment(rng, groups)
    if level == "hard":
        assert response.labels is not None  # noqa: S101 - a level is there only where its answers are
        assert response.group_label is not None  # noqa: S101
        answered = response.labels[which], response.group_label, assignment
        verdicts = [label_verdict(*answered), *([middle_label_verdict(*answered)] if slow else [])]
    else:
        verdicts = paired_verdicts(own.clean_density, own.marked_density[which], assignment, level == "soft")
    for verdict in verdicts:
        yield verdict.test, verdict.nominal_p


def _slow(
    able: Sequence[Responses], suspect: int, bench: Bench, rng: np.random.Generator
) -> Iterator[tuple[str, float]]:
    """Tests of others that compare released with held-out images: here both are images that no model ever saw."""
    response = able[suspect]
    features = response.features
    assert features is not None  # noqa: S101 - asked for at the level of features only
    order, number = rng.permutation(len(features)), int(rng.integers(2**31))
    half = len(order) // 2
    released, held_out = order[:half], order[half : 2 * half]
    verdict = gmm_likelihood(features[released], features[held_out], number)
    yield verdict.test, verdict.nominal_p
    # The same with held-out images of other groups than the released ones: "another source", as it happens in practice.
    split = rng.permutation(bench.groups)[: bench.groups // 2]
    inside = np.isin(bench.group_of, split)
    verdict = gmm_likelihood(features[inside], features[~inside], number)
    yield f"{verdict.test}, other groups", verdict.nominal_p
    views = response.view_features
    if views is None or len(able) < 2:
        return
    shadow = able[(suspect + 1 + int(rng.integers(len(able) - 1))) % len(able)].view_features
    if shadow is not None:
        verdict = view_consistency(views[released], views[held_out], shadow[released], shadow[held_out])
        yield verdict.test, verdict.nominal_p
