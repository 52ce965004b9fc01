"""What an audit found about one release: one frozen value from the judging to page, JSON, report and log.

`audits.judging.codec` reads and writes it. Some results lack what has a default: those of earlier versions, of a single
mark set, or of a run that is not concluded yet; JSON leaves it out where it holds its default. Everything names
groups and is in the order of patterns: `audits.judging.disclosure` says who may see what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

from audits.judging.levels import (
    AnyLevel,
    AssociatedLevel,
    ChoiceLevel,
    CombinedLevel,
    RankLevel,
    ScoredLevel,
    Unscored,
)
from audits.statistics.density import LEVELS, Level

RANK: Literal["rank"] = "rank"
CHOICE: Literal["choice"] = "choice"
COMBINED: Literal["combined"] = "combined"


@dataclass(frozen=True)
class Restricted:
    """Among which assignments the key drew. forbidden: how many pairs were ruled out; possible: None if uncountable."""

    size_classes: tuple[int, ...]  # of every group
    forbidden: int
    possible: int | None

    @property
    def classes(self) -> int:
        return len(set(self.size_classes))


@dataclass(frozen=True)
class Shuffle:
    """The order in which earlier versions showed single patterns to auditors; what they logged follows from it.

    groups: kept by versions that showed matrices in an order of groups too.
    """

    patterns: tuple[int, ...]
    groups: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class OtherTest:
    """A published test's verdict. set: the mark set, None for the release; statistic: None where it is infinite."""

    level: Level
    set: int | None
    test: str = field(metadata={"key": "verifier"})
    nominal_p: float
    statistic: float | None
    samples: int
    source: str
    details: Mapping[str, float]
    disclaimer: str


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A published test that was left out, at one level or of one mark set where that is named."""

    test: str = field(metadata={"key": "verifier"})
    reason: str
    level: Level | None = None
    set: int | None = None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What is said of a release, or of one of its mark sets, at every level. level: the plan's own, first to decide.

    Of a release, other tests (None: an earlier version, which asked none), and from its conclusion the levels that may
    decide, that which did, over how many tests it was corrected, and the reasons where the conclusion is not plain.
    Earlier versions had one level that could decide and named none.
    """

    level: Level
    levels: Mapping[Level, AnyLevel | Unscored]
    probes_digest: str
    other_tests: tuple[OtherTest, ...] | None = field(default=None, metadata={"key": "verifiers"})
    left_out: tuple[LeftOut, ...] | None = field(default=None, metadata={"key": "verifiers_left_out"})
    primary_levels: tuple[Level, ...] | None = None
    decided_by: Level | None = None
    tests: int | None = None
    reasons: tuple[str, ...] | None = None
    exploratory: bool = False  # whatever it found is no evidence

    @property
    def deciding(self) -> Level:
        """The primary level whose corrected p is smallest."""
        return self.decided_by or self.level

    @property
    def primary(self) -> tuple[Level, ...]:
        """The levels that may decide."""
        return self.primary_levels or (self.level,)

    @property
    def scored(self) -> dict[Level, AnyLevel]:
        """The levels that could be tested, in the fixed order."""
        found = ((level, self.levels.get(level)) for level in LEVELS)
        return {level: one for level, one in found if isinstance(one, ScoredLevel)}

    @property
    def unscored(self) -> dict[Level, str]:
        """Why the others could not."""
        return {level: found.reason for level, found in self.levels.items() if isinstance(found, Unscored)}

    @property
    def decision(self) -> AnyLevel:
        return self.scored[self.deciding]


@dataclass(frozen=True, kw_only=True)
class OneSet(Findings):
    """Of one mark set; one among several has a number, its family and its association. nonce: the run's."""

    nonce: str | None = None
    set: int | None = None
    family: str | None = None
    association: str | None = None

    @property
    def parts(self) -> tuple[Self, ...]:
        """Every mark set by itself."""
        return (self,)


@dataclass(frozen=True, kw_only=True)
class AssociatedResult(OneSet):
    """Of a mark set with groups: pattern j marks group assignment[j]."""

    levels: Mapping[Level, AssociatedLevel | Unscored]
    groups: tuple[str, ...]
    assignment: tuple[int, ...] = field(repr=False)
    shuffle: Shuffle | None = field(default=None, repr=False)
    restriction: Restricted | None = None


@dataclass(frozen=True, kw_only=True)
class RankedResult(OneSet):
    """Of a plain mark set. decoys: how many were asked about."""

    test: Literal["rank"]
    levels: Mapping[Level, RankLevel | Unscored]
    decoys: int


@dataclass(frozen=True, kw_only=True)
class ChoiceResult(OneSet):
    """Of a keyed choice. blocks: how many; alternatives: in all of them; views: of every one."""

    test: Literal["choice"]
    levels: Mapping[Level, ChoiceLevel | Unscored]
    blocks: int
    alternatives: int
    views: int


SetResult = AssociatedResult | RankedResult | ChoiceResult


@dataclass(frozen=True, kw_only=True)
class CombinedResult(Findings):
    """Of several mark sets together, and of each."""

    test: Literal["combined"]
    levels: Mapping[Level, CombinedLevel | Unscored]
    sets: tuple[SetResult, ...]

    @property
    def parts(self) -> tuple[SetResult, ...]:
        return self.sets


Result = SetResult | CombinedResult
