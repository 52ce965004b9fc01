"""What an auditor may see of a result: nothing from which the secret assignment could be derived.

Of patterns they see means alone. Single scores are the same in every run of one suspect, in whatever order and under
whatever letters they stand, so they would tell which pattern of one run is which of another (docs/method.md,
section 6.7).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

from audits.judging.levels import (
    AssociatedLevel,
    CombinedLevel,
    PatternScores,
    PermutationTest,
    ScoredLevel,
    Unscored,
)
from audits.judging.result import (
    ChoiceResult,
    CombinedResult,
    Findings,
    OneSet,
    RankedResult,
    Restricted,
    Result,
    SetResult,
    Shuffle,
)
from audits.statistics.density import DensityScores, Level

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class FullView(OneSet):
    """An associated set with the true assignment; patterns are named by number, groups by name."""

    levels: Mapping[Level, AssociatedLevel | Unscored]
    groups: tuple[str, ...]
    assignment: tuple[int, ...] = field(repr=False)
    restriction: Restricted | None = None
    shuffled: bool
    pattern_names: tuple[str, ...]
    group_names: tuple[str, ...]

    @property
    def patterns(self) -> int:
        return len(self.groups)


@dataclass(frozen=True, kw_only=True)
class MeanLevel(ScoredLevel[PermutationTest]):
    """A level of an associated set without any matrix of patterns and groups, which no order would hide: auditors know
    what the model answers to each group. means: over all patterns, and of their pulls to their own groups.
    """

    means: PatternScores


@dataclass(frozen=True)
class RestrictedCounts:
    """As `Restricted`. size_classes: how many; which group is in which would name one that is alone in its size."""

    size_classes: int
    forbidden: int
    possible: int | None

    @property
    def classes(self) -> int:
        return self.size_classes


@dataclass(frozen=True, kw_only=True)
class MeanView(OneSet):
    """An associated set without assignment, matrices or anything about single patterns. patterns: how many."""

    levels: Mapping[Level, MeanLevel | Unscored]
    restriction: RestrictedCounts | None = None
    shuffled: bool
    patterns: int


@dataclass(frozen=True, kw_only=True)
class RankedView(RankedResult):
    """A plain set. Shuffled, it tells nothing about the true key but its Q: all else is in the order of size."""

    shuffled: bool


@dataclass(frozen=True, kw_only=True)
class ChoiceView(ChoiceResult):
    """A keyed choice: sums over all blocks alone, from which nobody can tell which image of any stayed home."""

    shuffled: bool


@dataclass(frozen=True, kw_only=True)
class ShuffledLevel(ScoredLevel[PermutationTest]):
    """A level as earlier versions showed it to auditors: single patterns, in the shuffled order."""

    densities: tuple[DensityScores, ...]


@dataclass(frozen=True, kw_only=True)
class ShuffledView(OneSet):
    """An associated set as earlier versions showed it to auditors, and logged the digest of it."""

    levels: Mapping[Level, ShuffledLevel | Unscored]
    restriction: RestrictedCounts | None = None
    shuffled: bool
    pattern_names: tuple[str, ...]
    group_names: tuple[str, ...]


AssociatedView = FullView | MeanView
SetView = AssociatedView | RankedView | ChoiceView


@dataclass(frozen=True, kw_only=True)
class CombinedView(Findings):
    """Several mark sets together, and each as it may be seen."""

    test: Literal["combined"]
    levels: Mapping[Level, CombinedLevel | Unscored]
    sets: tuple[SetView, ...]
    shuffled: bool

    @property
    def parts(self) -> tuple[SetView, ...]:
        return self.sets


@dataclass(frozen=True, kw_only=True)
class CombinedAsLogged(Findings):
    """As `CombinedView`, sets of earlier versions as these showed them."""

    test: Literal["combined"]
    levels: Mapping[Level, CombinedLevel | Unscored]
    sets: tuple[MeanView | RankedView | ChoiceView | ShuffledView, ...]
    shuffled: bool


View = SetView | CombinedView


def full(result: Result) -> View:
    """The result with the true assignment."""
    if isinstance(result, CombinedResult):
        return _as(CombinedView, result, sets=tuple(map(_full, result.sets)), shuffled=False)
    return _full(result)


def _full(result: SetResult) -> SetView:
    if isinstance(result, RankedResult):
        return _as(RankedView, result, shuffled=False)
    if isinstance(result, ChoiceResult):
        return _as(ChoiceView, result, shuffled=False)
    patterns = tuple(f"Pattern {number + 1}" for number in range(len(result.groups)))
    return _as(FullView, result, shuffled=False, pattern_names=patterns, group_names=result.groups)


def withheld(result: Result) -> View:
    """The result without a way to derive the secret assignment, or to tell patterns of two runs from each other."""
    if isinstance(result, CombinedResult):
        return _as(CombinedView, result, sets=tuple(map(_withheld, result.sets)), shuffled=True)
    return _withheld(result)


def as_logged(result: Result) -> Findings:
    """What the evidence log holds the digest of: what auditors saw when the result was stored.

    Results of versions that showed single patterns keep the order in which they did; of others it is `withheld`.
    """
    if isinstance(result, CombinedResult):
        return _as(CombinedAsLogged, result, sets=tuple(map(_logged, result.sets)), shuffled=True)
    return _logged(result)


def _withheld(result: SetResult) -> MeanView | RankedView | ChoiceView:
    if isinstance(result, RankedResult):
        return _without_true(result)
    if isinstance(result, ChoiceResult):
        return _as(ChoiceView, result, shuffled=True)
    levels = {name: _mean_level(level) for name, level in result.levels.items()}
    return _as(
        MeanView,
        result,
        levels=levels,
        restriction=_counts(result.restriction),
        shuffled=True,
        patterns=len(result.groups),
    )


def _mean_level(level: AssociatedLevel | Unscored) -> MeanLevel | Unscored:
    return level if isinstance(level, Unscored) else _as(MeanLevel, level, means=means_of(level.densities))


def means_of(scores: Sequence[PatternScores]) -> PatternScores:
    """Over patterns. Rounded once, so that not even the last bit depends on their order."""
    names = [part.name for part in fields(PatternScores)]
    return PatternScores(**{name: math.fsum(getattr(one, name) for one in scores) / len(scores) for name in names})


def _logged(result: SetResult) -> MeanView | RankedView | ChoiceView | ShuffledView:
    if isinstance(result, RankedResult | ChoiceResult) or result.shuffle is None:
        return _withheld(result)
    patterns = result.shuffle.patterns
    return _as(
        ShuffledView,
        result,
        levels={name: _shuffled_level(level, result.shuffle) for name, level in result.levels.items()},
        restriction=_counts(result.restriction),
        shuffled=True,
        pattern_names=tuple(f"Pattern {letter}" for letter in letters(len(patterns))),
        group_names=tuple(f"Group {letter}" for letter in letters(len(patterns))),
    )


def _counts(limited: Restricted | None) -> RestrictedCounts | None:
    return _as(RestrictedCounts, limited, size_classes=limited.classes) if limited else None


def _without_true(result: RankedResult) -> RankedView:
    levels = {
        name: level if isinstance(level, Unscored) else replace(level, densities=replace(level.densities, true=None))
        for name, level in result.levels.items()
    }
    return _as(RankedView, result, levels=levels, shuffled=True)


def _shuffled_level(level: AssociatedLevel | Unscored, order: Shuffle) -> ShuffledLevel | Unscored:
    if isinstance(level, Unscored):
        return level
    return _as(ShuffledLevel, level, densities=tuple(_as(DensityScores, level.densities[j]) for j in order.patterns))


def _as(kind: type[T], value: Any, **other: Any) -> T:
    """`kind` with what it shares with `value`, but for the fields given."""
    shared = {part.name: getattr(value, part.name) for part in fields(kind) if part.name not in other}  # type: ignore[arg-type]
    return kind(**shared, **other)


def letters(count: int) -> list[str]:
    """A, B … Z, AA, AB …"""
    names = []
    for number in range(count):
        name = ""
        while number >= 0:
            name = chr(ord("A") + number % 26) + name
            number = number // 26 - 1
        names.append(name)
    return names
