"""Several mark sets of one release become one p-value whose error rate is what it says, at every step of the way."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from audits.judging.assignments import CorrectedP, Rules, Secrets, conclude, judge_level
from audits.judging.levels import Unscored
from audits.judging.ranks import KeyScores, judge_ranks, rank_level
from audits.judging.scoring import LevelScores
from audits.judging.sets import combine_level, combine_levels
from audits.statistics.combination import combine
from audits.statistics.density import DensityScores
from audits.statistics.ranktest import StoppingRule
from provenance.marks.restriction import Restriction

GROUPS = 4
RULES = Rules("ab" * 32, "features", 0.05, 1000, decide_with_references=False)
NOTHING = DensityScores(0.0, 0.0, 0.0, 0.0)


def level_scores(seed: int, groups: int = GROUPS, pulled: np.ndarray | None = None) -> LevelScores:
    """Pulls that chance gives, and where `pulled` names an assignment, much stronger ones along it."""
    rng = np.random.default_rng(seed)
    pulls = rng.normal(size=(groups, groups))
    if pulled is not None:
        pulls[np.arange(groups), pulled] += 8.0
    return LevelScores(pulls, (NOTHING,) * groups, rng.normal(size=(groups, groups)), 1)


def judged(scores: LevelScores, assignment, references=None, rules: Rules = RULES, name="a", restriction=None):
    secrets = Secrets(np.array(assignment), np.roll(assignment, 1), restriction)
    return judge_level("features", scores, references or {}, secrets, rules, name)


def ranked(rng: np.random.Generator, decoys: int, rule: StoppingRule | None = None):
    """A plain set of a model that never saw it: the true key is like its decoys."""
    keys = tuple(DensityScores(*values) for values in rng.normal(1.0, 0.1, (decoys + 1, 4)))
    scores = KeyScores(keys, keys[-1])
    return judge_ranks(rank_level(scores, {}, rule or StoppingRule(decoys)), scores, {}, RULES)


def test_every_pair_of_assignments_keeps_the_error_rate():
    """The null in full: two fixed pull matrices, and all 24 x 24 assignments that the keys could have drawn."""
    every = list(itertools.permutations(range(GROUPS)))
    tables = [[judged(level_scores(seed), order, name=str(seed)) for order in every] for seed in (1, 2)]
    found = np.array([combine_level([first, second], RULES).p for first, second in itertools.product(*tables)])
    for level in np.unique(found):
        assert np.mean(found <= level) <= level + 1e-9
    assert found.min() == pytest.approx(1 / 576)
    assert np.mean(found <= 0.05) > 0.03


def test_restricted_sets_keep_it_too():
    """Two size classes in one set, a ban in the other: 4 and 18 assignments that are possible."""
    classes = Restriction.within((0, 0, 1, 1))
    allowed = np.ones((GROUPS, GROUPS), dtype=bool)
    allowed[0, 0] = False
    banned = Restriction.within((0,) * GROUPS, allowed)
    every = list(itertools.permutations(range(GROUPS)))

    def tests(seed, restriction):
        possible = [o for o in every if restriction.cells[np.arange(GROUPS), list(o)].all()]
        # The wrong key is drawn among the same assignments.
        scores = replace(level_scores(seed), wrong_pulls=None)
        return [judged(scores, order, name=str(seed), restriction=restriction) for order in possible]

    tables = [tests(1, classes), tests(2, banned)]
    assert [len(table) for table in tables] == [4, 18]
    found = np.array([combine_level([first, second], RULES).p for first, second in itertools.product(*tables)])
    for level in np.unique(found):
        assert np.mean(found <= level) <= level + 1e-9
    assert found.min() == pytest.approx(1 / 72)
    assert combine_level([tables[0][0], tables[1][0]], RULES).smallest_p == pytest.approx(1 / 72)


@pytest.mark.parametrize("exceedances", [0, 3])
def test_associated_and_plain_sets_together_keep_it(exceedances):
    """A plain set beside an associated one, with the plan's early stop and without."""
    rng, trials = np.random.default_rng(5), 1000
    rule = StoppingRule(39, 10 if exceedances else 0, exceedances)
    tables = [judged(level_scores(1), order) for order in itertools.permutations(range(GROUPS))]
    drawn = rng.integers(0, len(tables), trials)
    found = np.array([combine_level([tables[k], ranked(rng, 39, rule)], RULES).p for k in drawn])
    for level in (0.01, 0.05, 0.2):
        low, high = stats.binom.interval(0.998, trials, level)
        assert np.sum(found <= level) <= high
        if not exceedances:
            assert np.sum(found <= level) >= 0.5 * low


def test_grids_are_known_only_where_no_early_stop_could_come():
    rng = np.random.default_rng(1)
    assert judged(level_scores(1), [0, 1, 2, 3]).without.grid == 24
    drawn = judged(level_scores(1, groups=10), rng.permutation(10)).without
    assert drawn.grid == 1001
    assert ranked(rng, 39).without.grid == 40
    assert ranked(rng, 39, StoppingRule(39, 10, 3)).without.grid is None
    one = combine_level([ranked(rng, 39, StoppingRule(39, 10, 3)), ranked(rng, 39)], RULES)
    assert one.without.smallest_p is None
    assert one.smallest_p == pytest.approx(combine([1 / 40, 1 / 40]).p)


def test_references_and_the_wrong_key_are_combined_like_the_suspect():
    assignments = ([1, 0, 3, 2], [2, 3, 0, 1])
    rules = replace(RULES, decide_with_references=True)

    def sets(rigged: tuple[bool, bool]):
        return [
            judged(
                level_scores(50 + number, pulled=np.array(order)),
                order,
                {
                    "clean": level_scores(10 + number),
                    "doubtful": level_scores(20 + number, pulled=np.array(order) if own else None),
                },
                rules,
                str(number),
            )
            for number, (order, own) in enumerate(zip(assignments, rigged, strict=True))
        ]

    made = sets((False, False))
    level = combine_level(made, rules)
    assert level.p == level.p_with == level.with_references.p
    assert level.p_without == combine([one.p_without for one in made], [24, 24]).p
    kinds = [(control.kind, control.tail) for control in level.controls]
    assert kinds == [("wrong key", "high")] + 2 * [
        ("reference", "high"),
        ("reference", "low"),
        ("reference left out", "high"),
    ]
    for number, control in enumerate(level.controls):
        assert control.p == combine([one.controls[number].p for one in made], [24, 24]).p
    assert level.tainted == ()
    assert level.missing == 2
    assert conclude(level, CorrectedP(1e-4, 1e-4), rules)[0] == "evidence"

    level = combine_level(sets((True, True)), rules)
    assert level.tainted == ("doubtful",)
    assert conclude(level, CorrectedP(1e-4, 1e-4), rules)[0] == "inconclusive"
    without_wrong = [made[0], replace(made[1], controls=made[1].controls[1:])]
    assert "wrong key" not in {control.kind for control in combine_level(without_wrong, rules).controls}


def test_a_reference_that_reacts_to_one_set_alone_is_told():
    """Rigged for one of two sets, and at the other end of chance in the other: together they would look harmless."""
    rules = replace(RULES, alpha=0.01)
    order = np.array([0, 2, 1, 4, 3])
    first = judged(level_scores(1, 5), order, {"rigged": level_scores(2, 5, pulled=order)}, rules, "1")
    second = judged(level_scores(3, 5), order, {"rigged": level_scores(4, 5, pulled=np.roll(order, 1))}, rules, "2")
    high = [one.controls[1].p for one in (first, second)]
    assert high[0] == pytest.approx(1 / 120)
    assert 2 * combine(high, [120, 120]).p > rules.alpha
    assert combine_level([first, second], replace(rules, alpha=0.04)).tainted == ("rigged",)


def test_a_level_that_one_set_cannot_be_tested_at_is_not_tested():
    first, second = (judged(level_scores(seed), [1, 0, 3, 2], name=str(seed)) for seed in (1, 2))
    silent = Unscored("The model says the same to every image.")
    levels = combine_levels([{"features": first, "soft": first}, {"features": second, "soft": silent}], RULES)
    assert levels == {
        "features": combine_level([first, second], RULES),
        "soft": Unscored("Mark set 2: The model says the same to every image."),
    }
