"""A pilot's numbers by what was tried: what it costs, how surely it is found, how long that takes. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

import scipy  # its parts load when they are first used: no command and no page should wait for them

from audits.judging.bases import BASES, Basis
from audits.pilots.pilot.found import LevelFound, LineFound, PilotFound
from audits.pilots.pilot.settings import PilotSettings, Proposal
from audits.statistics.binomial import clopper_pearson

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean, and where it lies with 95 % confidence; None where there is one value alone."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Power:
    """How many of the audits had a p of alpha or less, with the 95 % interval of Clopper and Pearson for the rate."""

    found: int
    audits: int
    low: float
    high: float
    p_values: tuple[float, ...]

    @property
    def rate(self) -> float:
        return self.found / self.audits

    @property
    def median_p(self) -> float:
        return median(self.p_values)


@dataclass(frozen=True)
class Summary:
    """One proposal in models of one method. cost, nearest_cost: accuracy of unmarked twins minus that of suspects, by
    linear probe and by nearest neighbours; None where there are no classes. aucs, grown: means by level and epoch.
    """

    number: int  # of the proposal
    proposal: Proposal
    method: str
    lines: tuple[LineFound, ...]
    power: dict[Basis, Power]
    accuracy: Interval | None
    unmarked: Interval | None
    cost: Interval | None
    nearest_cost: Interval | None
    psnr: float | None
    ssim: float | None
    queries: int
    marked: int
    wanted: int
    aucs: dict[Basis, dict[int, float]]
    grown: dict[Basis, dict[int, float]]

    @property
    def is_smaller(self) -> bool:
        """Whether fewer images were marked, or stayed home, than in the release."""
        return self.marked < 0.9 * self.wanted


def summaries(settings: PilotSettings, found: PilotFound) -> list[Summary]:
    """Of everything that was trained at least once, by method and proposal."""
    made = []
    for method in settings.methods:
        of_method = [one for one in found.lines if one.line.method == method and not one.line.variation]
        twins = [one for one in of_method if one.line.is_twin]
        for number, proposal in enumerate(settings.proposals):
            lines = [one for one in of_method if one.line.proposal == number]
            if lines:
                made.append(_summary(settings, number, proposal, method, lines, twins))
    return made


def _summary(
    settings: PilotSettings,
    number: int,
    proposal: Proposal,
    method: str,
    lines: Sequence[LineFound],
    twins: Sequence[LineFound],
) -> Summary:
    looks = [one.looks for one in lines if one.looks]
    own, unmarked = _given(one.linear for one in lines), _given(one.linear for one in twins)
    near, near_unmarked = _given(one.nearest for one in lines), _given(one.nearest for one in twins)
    return Summary(
        number=number,
        proposal=proposal,
        method=method,
        lines=tuple(lines),
        power=powers([one.levels for one in lines], settings.alpha),
        accuracy=interval_of(own),
        unmarked=interval_of(unmarked),
        cost=difference(unmarked, own),
        nearest_cost=difference(near_unmarked, near),
        psnr=fmean(one.psnr for one in looks) if looks else None,
        ssim=fmean(one.ssim for one in looks) if looks else None,
        queries=max(one.queries for one in lines),
        marked=round(fmean(one.marked for one in lines)),
        wanted=round(fmean(one.wanted for one in lines)),
        aucs=_means([one.aucs for one in lines]),
        grown=_means([one.grown for one in lines]),
    )


def powers(audits: Sequence[Mapping[Basis, LevelFound]], alpha: float) -> dict[Basis, Power]:
    """By what they rest on, of all audits that have it."""
    found = {}
    for basis in BASES:
        p_values = tuple(one[basis].p for one in audits if basis in one)
        if p_values:
            count = sum(p <= alpha for p in p_values)
            found[basis] = Power(count, len(p_values), *clopper_pearson(count, len(p_values), CONFIDENCE), p_values)
    return found


def _means(curves: Sequence[Mapping[Basis, Mapping[int, float]]]) -> dict[Basis, dict[int, float]]:
    """By level and epoch, of all that have it."""
    found: dict[Basis, dict[int, float]] = {}
    for basis in BASES:
        own = [one[basis] for one in curves if basis in one]
        if own:
            epochs = sorted({epoch for one in own for epoch in one})
            found[basis] = {epoch: fmean(one[epoch] for one in own if epoch in one) for epoch in epochs}
    return found


def _given(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def interval_of(values: Sequence[float]) -> Interval | None:
    """Their mean with Student's interval."""
    if not values:
        return None
    if len(values) < 2:
        return Interval(values[0], None, None)
    reach = _t(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Interval(fmean(values), fmean(values) - reach, fmean(values) + reach)


def difference(first: Sequence[float], second: Sequence[float]) -> Interval | None:
    """Mean of the first minus that of the second; the interval is Welch's (1947), over trainings, not over images."""
    if not first or not second:
        return None
    mean = fmean(first) - fmean(second)
    if min(len(first), len(second)) < 2:
        return Interval(mean, None, None)
    one, other = stdev(first) ** 2 / len(first), stdev(second) ** 2 / len(second)
    if one + other == 0:
        return Interval(mean, mean, mean)
    freedom = (one + other) ** 2 / (one**2 / (len(first) - 1) + other**2 / (len(second) - 1))
    reach = _t(freedom) * math.sqrt(one + other)
    return Interval(mean, mean - reach, mean + reach)


def _t(freedom: float) -> float:
    return float(scipy.stats.t.isf((1 - CONFIDENCE) / 2, freedom))
