"""What an auditor may see of a result: nothing from which the secret assignment could be derived.

Patterns come in an order drawn once at random and kept with the result, so that every table and JSON answer of a mark
set uses the same one and nothing can be told from their differences; each set has an order of its own, and what the
sets say together names no pattern and no group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

from audits.judging.levels import AssociatedLevel, CombinedLevel, PermutationTest, ScoredLevel, Unscored
from audits.judging.result import (
    CombinedResult,
    Findings,
    OneSet,
    RankedResult,
    Restricted,
    Result,
    SetResult,
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


@dataclass(frozen=True, kw_only=True)
class ShuffledLevel(ScoredLevel[PermutationTest]):
    """A level of an associated set, its patterns in the shuffled order, without any matrix of patterns and groups.

    No order would hide what is in one: auditors know what the model answers to each group (docs/method.md, section
    6.7). A pattern's pull to its own group is a cell of the matrix.
    """

    densities: tuple[DensityScores, ...]


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
class ShuffledView(OneSet):
    """An associated set with patterns in its kept random order, without names, assignment or matrices."""

    levels: Mapping[Level, ShuffledLevel | Unscored]
    restriction: RestrictedCounts | None = None
    shuffled: bool
    pattern_names: tuple[str, ...]
    group_names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RankedView(RankedResult):
    """A plain set. Shuffled, it tells nothing about the true key but its Q: all else is in the order of size."""

    shuffled: bool


AssociatedView = FullView | ShuffledView
SetView = AssociatedView | RankedView


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


View = SetView | CombinedView


def full(result: Result) -> View:
    """The result with the true assignment."""
    if isinstance(result, CombinedResult):
        return _as(CombinedView, result, sets=tuple(map(_full, result.sets)), shuffled=False)
    return _full(result)


def _full(result: SetResult) -> SetView:
    if isinstance(result, RankedResult):
        return _as(RankedView, result, shuffled=False)
    patterns = tuple(f"Pattern {number + 1}" for number in range(len(result.groups)))
    return _as(FullView, result, shuffled=False, pattern_names=patterns, group_names=result.groups)


def shuffled(result: Result) -> View:
    """The result with patterns in its kept random order, without a way to derive the secret assignment."""
    if isinstance(result, CombinedResult):
        return _as(CombinedView, result, sets=tuple(map(_shuffled, result.sets)), shuffled=True)
    return _shuffled(result)


def _shuffled(result: SetResult) -> SetView:
    if isinstance(result, RankedResult):
        return _without_true(result)
    patterns, limited = result.shuffle.patterns, result.restriction
    return _as(
        ShuffledView,
        result,
        levels={name: _shuffled_level(level, patterns) for name, level in result.levels.items()},
        restriction=_as(RestrictedCounts, limited, size_classes=limited.classes) if limited else None,
        shuffled=True,
        pattern_names=tuple(f"Pattern {letter}" for letter in letters(len(patterns))),
        group_names=tuple(f"Group {letter}" for letter in letters(len(patterns))),
    )


def _without_true(result: RankedResult) -> RankedView:
    levels = {
        name: level if isinstance(level, Unscored) else replace(level, densities=replace(level.densities, true=None))
        for name, level in result.levels.items()
    }
    return _as(RankedView, result, levels=levels, shuffled=True)


def _shuffled_level(level: AssociatedLevel | Unscored, patterns: tuple[int, ...]) -> ShuffledLevel | Unscored:
    if isinstance(level, Unscored):
        return level
    return _as(ShuffledLevel, level, densities=tuple(_as(DensityScores, level.densities[j]) for j in patterns))


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
