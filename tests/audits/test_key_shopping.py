"""Owners who shop for a key: whatever they draw, register anew, look at and pick, false evidence stays below alpha.

Strategies play against the rules themselves (what may be locked, what counts, how it is corrected, what is concluded);
only the p-values are made up: of a model that never saw any copy, uniform, the levels of one key moving together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from audits.judging.assignments import CorrectedP, Rules, conclude
from audits.judging.exploratory import exploratory
from audits.judging.levels import CombinedLevel
from audits.planning.claims import Kind, is_late, p_values_shown, series_refusal, untested_copies
from audits.statistics.combination import combine
from audits.statistics.corrections import Finding, Spending, correct, corrected_if, open_factor

TRIALS, KEYS, ALPHA = 10_000, 50, 0.05
SMALLEST_P = 1e-9  # that a plan could reach
LEVELS = ("features", "soft", "hard")
BOUND = stats.binom.interval(0.98, TRIALS, ALPHA)[1]  # one-sided 99 %
DAY_ONE = datetime(2026, 1, 1, tzinfo=UTC)
Floats = NDArray[np.float64]


@dataclass
class Owner:
    """One owner, one suspect, copies for 50 recipients; p: of every key at every level. Asks only what is allowed."""

    p: Floats
    committed: list[datetime]
    registered: list[datetime] = field(default_factory=lambda: [DAY_ONE])
    runs: set[Kind] = field(default_factory=set)
    shown: int = 0  # p-values of all runs
    asked: set[int] = field(default_factory=set)

    def ask(self, keys: list[int], level: int, kind: Kind, *, at_issue: bool = False) -> bool:
        """Locks a plan, runs it, and says whether it found evidence; a plan that is refused finds none."""
        first_sight = min(self.registered)  # of the same model under whatever name
        if kind is not Kind.EXPLORATORY and any(is_late(self.committed[key], first_sight) for key in keys):
            return False
        if series_refusal(kind, self.runs):
            return False
        shown = p_values_shown(len(keys), len(LEVELS), with_references=False)
        # What the smallest p is multiplied by at least, so that most runs need no further look.
        least = open_factor(self.shown, shown) if kind is Kind.OPEN else len(keys)
        smallest = self.p[keys[0], level] if len(keys) == 1 else self.p[keys, level].min()
        is_evidence = smallest * least <= ALPHA and self._finds(keys, level, kind, at_issue)
        self.runs.add(kind)
        self.shown += shown
        self.asked.update(keys)
        return is_evidence

    def _finds(self, keys: list[int], level: int, kind: Kind, at_issue: bool) -> bool:
        others = (str(one) for one in range(KEYS) if one not in self.asked and one not in keys)
        untested = untested_copies(others, str(keys[0]) if at_issue else "")
        made = p_values_shown(len(keys), len(LEVELS), with_references=False)
        before = self.shown if kind is Kind.OPEN else None
        own = [
            Finding(str(key), name, 1, float(self.p[key, place]), place == level)
            for key in keys
            for place, name in enumerate(LEVELS)
        ]
        spending = Spending(untested, before, made)
        deciding = [
            (one.tested.p, CorrectedP(one.corrected, corrected_if(own, place, SMALLEST_P, spending)))
            for place, one in enumerate(correct(own, spending))
            if one.tested.primary and one.corrected <= ALPHA
        ]
        return any(concluded(p, corrected, kind) == "evidence" for p, corrected in deciding)


def concluded(p: float, corrected: CorrectedP, kind: Kind) -> str:
    level = CombinedLevel(
        p=p,
        p_without=p,
        p_with=None,
        smallest_p=SMALLEST_P,
        without=combine([p]),
        with_references=None,
        controls=(),
        tainted=(),
        missing=0,
    )
    conclusion, _ = conclude(level, corrected, Rules("", "features", ALPHA, 1000, False))
    return exploratory(conclusion) if kind is Kind.EXPLORATORY else conclusion


def until_one_suits(owner: Owner) -> bool:
    """The issue's own case: registers the suspect, then draws key after key, each for a plan of its own."""
    owner.committed = [DAY_ONE + timedelta(days=1 + n) for n in range(KEYS)]
    return any(owner.ask([key], 0, Kind.CLOSED) for key in range(KEYS))


def under_other_names(owner: Owner) -> bool:
    """The same, and before every plan the same weights are registered anew, as if they had just appeared."""
    owner.committed = [DAY_ONE + timedelta(days=n) for n in range(KEYS)]
    for key in range(KEYS):
        owner.registered.append(owner.committed[key] + timedelta(hours=1))
        if owner.ask([key], 0, Kind.CLOSED) or owner.ask([key], 0, Kind.OPEN):
            return True
    return False


def one_plan_for_the_best_of_a_look(owner: Owner) -> bool:
    """Looks at every copy and level in one exploratory run, then names the best one as the recipient at issue."""
    owner.ask(list(range(KEYS)), 0, Kind.EXPLORATORY)
    key, level = np.unravel_index(int(owner.p.argmin()), owner.p.shape)
    return any(owner.ask([int(key)], int(level), kind, at_issue=True) for kind in (Kind.CLOSED, Kind.OPEN))


def again_and_again(owner: Owner) -> bool:
    """An open series: every recipient in turn is the one at issue, then every level that looked best."""
    if any(owner.ask([key], 0, Kind.OPEN, at_issue=True) for key in range(KEYS)):
        return True
    best = np.dstack(np.unravel_index(np.argsort(owner.p, axis=None), owner.p.shape))[0]
    return any(owner.ask([int(key)], int(level), Kind.OPEN, at_issue=True) for key, level in best[:10])


def closed_then_whatever_is_left(owner: Owner) -> bool:
    """A closed plan for one recipient; where that fails, another level of it, another recipient, an open series."""
    if owner.ask([0], 0, Kind.CLOSED, at_issue=True):
        return True
    kinds = (Kind.CLOSED, Kind.OPEN)
    return any(owner.ask([key], level, kind, at_issue=True) for key in range(3) for level in (1, 2) for kind in kinds)


def a_few_at_a_time(owner: Owner) -> bool:
    """An open series of plans for five copies each, at the level that the run before made look best."""
    level = 0
    for first in range(0, KEYS, 5):
        keys = list(range(first, first + 5))
        if owner.ask(keys, level, Kind.OPEN) or owner.ask([int(keys[0])], level, Kind.OPEN):
            return True
        level = int(owner.p[keys].min(axis=0).argmin())
    return False


def an_honest_one(owner: Owner) -> bool:
    """One plan for all copies."""
    return owner.ask(list(range(KEYS)), 0, Kind.CLOSED)


def an_honest_one_at_issue(owner: Owner) -> bool:
    """One plan for the one recipient that was at issue from the beginning."""
    return owner.ask([7], 0, Kind.CLOSED, at_issue=True)


STRATEGIES: tuple[Callable[[Owner], bool], ...] = (
    until_one_suits, under_other_names, one_plan_for_the_best_of_a_look, again_and_again, closed_then_whatever_is_left,
    a_few_at_a_time, an_honest_one, an_honest_one_at_issue,
)  # fmt: skip


def innocent(seed: int) -> Floats:
    """p-values of 50 keys at three levels, a trial each. Levels move apart, which is what helps a shopper most."""
    return np.random.default_rng(seed).uniform(size=(TRIALS, KEYS, len(LEVELS)))


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.__name__)
def test_false_evidence_stays_below_alpha_whatever_an_owner_tries(strategy):
    before = [DAY_ONE - timedelta(days=1)] * KEYS
    false = sum(strategy(Owner(p, list(before))) for p in innocent(19))
    assert false <= BOUND
    if strategy is an_honest_one_at_issue:  # the bound is no bound for tests that never find anything
        assert false >= stats.binom.interval(0.98, TRIALS, ALPHA)[0]


def test_the_rule_of_before_could_be_shopped_for():
    """Runs against the same release counted, and nothing else: each key was corrected as if it were the only one."""
    features = innocent(19)[:, :, 0]
    small = features <= ALPHA
    reported = [correct([Finding("one", "features", 1, float(p))])[0].corrected for p in features[small][:100]]
    assert max(reported) <= ALPHA
    assert small[:, :11].any(axis=1).sum() > 5 * BOUND  # the issue's eleven keys
    assert small.any(axis=1).mean() > 0.9
