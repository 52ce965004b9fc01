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
from audits.planning.claims import (
    SHOWN_OF_A_REFERENCE,
    Kind,
    is_late,
    p_values_shown,
    series_refusal,
    untested_copies,
)
from audits.statistics.combination import combine
from audits.statistics.corrections import Finding, Spending, correct, corrected_if, open_factor

pytestmark = pytest.mark.long

TRIALS, KEYS, ALPHA = 10_000, 50, 0.05
SMALLEST_P = 1e-9  # that a plan could reach
LEVELS = ("features", "soft", "hard")
BOUND = stats.binom.interval(0.98, TRIALS, ALPHA)[1]  # one-sided 99 %
DAY_ONE = datetime(2026, 1, 1, tzinfo=UTC)
Floats = NDArray[np.float64]


@dataclass
class Images:
    """What was done about copies of the same images."""

    runs: set[Kind] = field(default_factory=set)
    shown: int = 0  # p-values of all runs
    asked: set[int] = field(default_factory=set)
    strangers: int = 0  # p-values of runs of organisations that have no part in it


@dataclass
class Owner:
    """One owner, one suspect, copies for 50 recipients; p: of every key at every level. Asks only what is allowed.

    images: of every key, in which images it was struck. holes: rules of earlier versions that are in force again.
    """

    p: Floats
    committed: list[datetime]
    registered: list[datetime] = field(default_factory=lambda: [DAY_ONE])
    images: list[Images] = field(default_factory=lambda: [Images()] * KEYS)
    dropped: set[int] = field(default_factory=set)  # after the suspect was seen
    holes: frozenset[str] = frozenset()

    def ask(
        self, keys: list[int], level: int, kind: Kind, *, at_issue: bool = False, taken_up_again: bool = False
    ) -> bool:
        """Locks a plan, runs it, and says whether it found evidence; a plan that is refused finds none."""
        same = self.images[keys[0]]
        first_sight = min(self.registered)  # of the same model under whatever name
        if kind is not Kind.EXPLORATORY and any(is_late(self.committed[key], first_sight) for key in keys):
            return False
        if series_refusal(kind, same.runs, begun=taken_up_again and "cancel and retry" in self.holes):
            return False
        shown = p_values_shown(len(keys), len(LEVELS), with_references=False)
        # What the smallest p is multiplied by at least, so that most runs need no further look.
        least = open_factor(same.shown, shown) if kind is Kind.OPEN else len(keys)
        smallest = self.p[keys[0], level] if len(keys) == 1 else self.p[keys, level].min()
        is_evidence = smallest * least <= ALPHA and self._finds(keys, level, kind, at_issue)
        same.runs.add(kind)
        same.shown += shown
        same.asked.update(keys)
        return is_evidence

    def look_as_a_reference(self, keys: list[int]) -> None:
        """Names the suspect as a reference of another one's run, whose page shows its p-values."""
        same = self.images[keys[0]]
        if "a reference is no look" not in self.holes:
            same.runs.add(Kind.EXPLORATORY)
            same.shown += SHOWN_OF_A_REFERENCE * p_values_shown(len(keys), len(LEVELS), with_references=False)

    def _finds(self, keys: list[int], level: int, kind: Kind, at_issue: bool) -> bool:
        same = self.images[keys[0]]
        left_out = {*same.asked, *keys, *(self.dropped if "dropped keys are gone" in self.holes else ())}
        others = (str(one) for one in range(KEYS) if self.images[one] is same and one not in left_out)
        untested = untested_copies(others, str(keys[0]) if at_issue else "")
        made = p_values_shown(len(keys), len(LEVELS), with_references=False) + same.strangers
        before = same.shown if kind is Kind.OPEN else None
        own = [
            Finding(str(key), name, 1, float(self.p[key, place]), place == level)
            for key in keys
            for place, name in enumerate(LEVELS)
        ]
        if kind is not Kind.OPEN:
            own += [Finding(f"stranger {n}", LEVELS[0], 2, 1.0) for n in range(same.strangers)]
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


def cancel_and_retry(owner: Owner) -> bool:
    """Queues a closed plan for every copy and level, cancels all of them unasked, looks, and takes up the best ones."""
    owner.ask(list(range(KEYS)), 0, Kind.EXPLORATORY)
    return any(
        owner.ask([key], level, Kind.CLOSED, at_issue=True, taken_up_again=True) for key, level in best_of(owner)[:3]
    )


def a_look_as_a_reference(owner: Owner) -> bool:
    """Looks at every copy by naming the suspect as a reference of another, then plans for the best."""
    owner.look_as_a_reference(list(range(KEYS)))
    return any(
        owner.ask([key], level, kind, at_issue=True) for key, level in best_of(owner)[:3] for kind in list(Kind)[:2]
    )


def dropping_keys(owner: Owner) -> bool:
    """Looks outside this software, drops all keys but the best, and plans for all copies that are left: that one."""
    key = int(owner.p[:, 0].argmin())
    owner.dropped = set(range(KEYS)) - {key}
    return owner.ask([key], 0, Kind.CLOSED)


def padded_versions(owner: Owner) -> bool:
    """Registers the same images fifty times, each time among more others, and tests a copy of each by itself.

    That these hold the same images is tested in tests/provenance/test_overlaps.py.
    """
    if "half of the files" in owner.holes:
        owner.images = [Images() for _ in range(KEYS)]
    return any(owner.ask([key], 0, Kind.CLOSED) or owner.ask([key], 0, Kind.OPEN) for key in range(KEYS))


def after_strangers(owner: Owner) -> bool:
    """Strangers have asked the suspect about the same images; then a closed plan, and whatever is left."""
    owner.images[0].strangers = 1
    return closed_then_whatever_is_left(owner)


# -- what rules inside this software cannot stop; docs/error-rates.md tells how often it succeeds -------------------
def in_several_organisations(owner: Owner, houses: int = 3) -> bool:
    """One owner under the names of several organisations, each with a closed run about a copy of its own."""
    for house in range(houses):
        owner.images = [Images(strangers=house) if key == house else Images() for key in range(KEYS)]
        if owner.ask([house], 0, Kind.CLOSED):
            return True
    return False


def a_look_outside(owner: Owner) -> bool:
    """Computes what every key gives without this software, and then names the best copy and level."""
    key, level = best_of(owner)[0]
    return owner.ask([key], level, Kind.CLOSED, at_issue=True)


LIMITS = (in_several_organisations, a_look_outside)


def best_of(owner: Owner) -> list[tuple[int, int]]:
    """The three keys and levels with the smallest p, of all."""
    flat = owner.p.ravel()
    three = np.argpartition(flat, 3)[:3]
    return [divmod(int(place), len(LEVELS)) for place in three[np.argsort(flat[three])]]


def an_honest_one(owner: Owner) -> bool:
    """One plan for all copies."""
    return owner.ask(list(range(KEYS)), 0, Kind.CLOSED)


def an_honest_one_at_issue(owner: Owner) -> bool:
    """One plan for the one recipient that was at issue from the beginning."""
    return owner.ask([7], 0, Kind.CLOSED, at_issue=True)


STRATEGIES: tuple[Callable[[Owner], bool], ...] = (
    until_one_suits, under_other_names, one_plan_for_the_best_of_a_look, again_and_again, closed_then_whatever_is_left,
    a_few_at_a_time, cancel_and_retry, a_look_as_a_reference, dropping_keys, padded_versions, after_strangers,
    an_honest_one, an_honest_one_at_issue,
)  # fmt: skip
# What each of these could use before.
HOLES = {
    cancel_and_retry: "cancel and retry",
    a_look_as_a_reference: "a reference is no look",
    dropping_keys: "dropped keys are gone",
    padded_versions: "half of the files",
}


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


@pytest.mark.parametrize("strategy", HOLES, ids=lambda strategy: strategy.__name__)
def test_each_of_these_found_false_evidence_before(strategy):
    before, holes = [DAY_ONE - timedelta(days=1)] * KEYS, frozenset({HOLES[strategy]})
    some = innocent(19)[:1000]
    assert sum(strategy(Owner(p, list(before), holes=holes)) for p in some) > 5 * ALPHA * len(some)


@pytest.mark.parametrize("kind", [Kind.CLOSED, Kind.OPEN])
def test_strangers_take_no_evidence_away_that_is_strong(kind):
    """Before, one closed run of a stranger stopped every run of the owner, whatever it would have found."""
    owner = Owner(np.full((KEYS, len(LEVELS)), 1e-4), [DAY_ONE - timedelta(days=1)] * KEYS)
    owner.images[0].strangers = 10
    assert owner.ask([0], 0, kind, at_issue=True)


def test_the_rule_of_before_could_be_shopped_for():
    """Runs against the same release counted, and nothing else: each key was corrected as if it were the only one."""
    features = innocent(19)[:, :, 0]
    small = features <= ALPHA
    reported = [correct([Finding("one", "features", 1, float(p))])[0].corrected for p in features[small][:100]]
    assert max(reported) <= ALPHA
    assert small[:, :11].any(axis=1).sum() > 5 * BOUND  # the issue's eleven keys
    assert small.any(axis=1).mean() > 0.9
