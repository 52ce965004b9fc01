"""What one level says of one mark set or of several: tests, controls, scores and the correction, as they are stored.

Fields are read and written as `audits.judging.result` says.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import NormalDist
from typing import Generic, Literal, TypeVar

import numpy as np

from audits.statistics.combination import Combination
from audits.statistics.density import DensityScores
from audits.statistics.permutation import PermutationResult
from audits.statistics.ranktest import RankResult

Floats = tuple[float, ...]
Matrix = tuple[Floats, ...]  # of pulls, pattern by group

# Q is infinite where a key stands alone in a direction in which no other moves; JSON knows no infinity.
LARGEST_Q = 1e12
SHOWN_DIGITS = 9
WITH = {"key": "with"}  # fields that have another name in JSON say which


@dataclass(frozen=True, kw_only=True)
class PermutationTest:
    """A test among assignments; fields as in `PermutationResult`, rounded so that no last bit tells in which order
    patterns were added up."""

    statistic: float
    z: float
    p: float
    p_lower: float
    exceedances: int
    below: int
    permutations: int
    exact: bool
    smallest_p: float
    edges: Floats
    counts: tuple[int, ...]

    @classmethod
    def of(cls, found: PermutationResult) -> PermutationTest:
        rounded = {"statistic": _rounded(found.statistic), "z": _rounded(found.z)}
        edges, counts = tuple(map(_rounded, found.edges.tolist())), tuple(found.counts.tolist())
        return cls(**asdict(found) | rounded | {"edges": edges, "counts": counts})

    @property
    def grid(self) -> int:
        """n: p is one of 1/n … n/n."""
        return self.permutations + (0 if self.exact else 1)


def _rounded(number: float) -> float:
    return float(f"{number:.{SHOWN_DIGITS}g}")


@dataclass(frozen=True, kw_only=True)
class RankTest:
    """A test among decoy keys; fields as in `RankResult`, but the decoys' Q ascend, which tells nothing about any."""

    statistic: float
    p: float
    p_lower: float
    exceedances: int
    decoys: int
    planned: int
    stopped: bool
    looks: int
    smallest_p: float
    distances: Floats

    @classmethod
    def of(cls, found: RankResult) -> RankTest:
        q = np.minimum(found.distances, LARGEST_Q)
        return cls(
            statistic=float(q[0]),
            p=found.p,
            p_lower=found.p_lower,
            exceedances=found.exceedances,
            decoys=found.decoys,
            planned=found.planned,
            stopped=found.stopped,
            looks=found.looks,
            smallest_p=found.smallest_p,
            distances=tuple(np.sort(q[1:]).tolist()),
        )

    @property
    def z(self) -> float:
        """Standard deviations at which a normal number has the true key's rank among its decoys, by its middle."""
        return -NormalDist().inv_cdf((self.exceedances + 0.5) / (self.decoys + 1))

    @property
    def grid(self) -> int | None:
        """n where p is one of 1/n … n/n: only if the plan gave the test no chance to stop early."""
        return self.decoys + 1 if self.looks == 1 and not self.stopped else None


@dataclass(frozen=True, kw_only=True)
class ChoiceTest:
    """A test of which alternative of every block stayed home, by one score, or by the largest of several (omnibus).

    at_home, published: mean scores; auc: chance that a published one scores higher, of what was tested; None for an
    omnibus. choices: random ones that it was compared with; None: the exact law. looked: at how many of the declared
    looks; p pays for all of them, the rest is of the last.
    """

    score: Literal["density", "confidence", "caption", "omnibus"]
    z: float
    p: float
    p_lower: float
    smallest_p: float
    blocks: int
    at_home: float | None = None
    published: float | None = None
    auc: float | None = None
    choices: int | None = None
    looks: int = 1
    looked: int = 1

    @property
    def grid(self) -> int | None:
        """n where p is one of 1/n … n/n; neither the exact law nor what pays for several looks has a grid."""
        return None if self.choices is None or self.looks > 1 else self.choices + 1


SingleTest = PermutationTest | RankTest | ChoiceTest
Test = SingleTest | Combination


@dataclass(frozen=True)
class Control:
    """A test whose outcome is known beforehand. tail "low" asks for the opposite effect."""

    name: str
    kind: Literal["wrong key", "reference", "reference left out"]
    tail: Literal["high", "low"]
    p: float


@dataclass(frozen=True)
class Correction:
    """p once it is corrected with all tests that count. together: how many those are; primary: the level may decide.

    smallest_p: what the smallest reachable p would be corrected to beside the same tests; None: not primary, or stored
    by an earlier version.
    """

    p: float
    together: int
    reason: str
    primary: bool
    smallest_p: float | None = None


@dataclass(frozen=True)
class PatternScores(DensityScores):
    """pull: of the pattern to its own group, a cell of the matrix."""

    pull: float


@dataclass(frozen=True)
class DensityQuantiles:
    """Of the decoys' scores, at `audits.judging.ranks.DECOY_QUANTILES`."""

    gain: Floats
    divergence: Floats
    displacement: Floats
    coherence: Floats


@dataclass(frozen=True)
class KeyDensities:
    """true: the true key's scores, which stay in the owner's house."""

    decoys: DensityQuantiles
    true: DensityScores | None = None


@dataclass(frozen=True)
class Unscored:
    """A level that could not be tested."""

    reason: str


T = TypeVar("T", bound=Test, covariant=True)


@dataclass(frozen=True, kw_only=True)
class ScoredLevel(Generic[T]):
    """What one level says. p: the one that counts, with references or without, as the plan has it; tainted:
    references that react to the key themselves; missing: answers that never came, scored as no shift."""

    p: float
    p_without: float
    p_with: float | None
    smallest_p: float
    without: T
    with_references: T | None = field(metadata=WITH)
    controls: tuple[Control, ...]
    tainted: tuple[str, ...]
    missing: int
    corrected: Correction | None = None  # earlier versions corrected at the plan's own level only

    def counted(self, decide_with_references: bool) -> T:
        """The test whose p counts."""
        return self.with_references if decide_with_references and self.with_references else self.without

    @property
    def wrong_key(self) -> float | None:
        """p of the wrong key, where one was asked about."""
        return next((control.p for control in self.controls if control.kind == "wrong key"), None)


@dataclass(frozen=True, kw_only=True)
class AssociatedLevel(ScoredLevel[PermutationTest]):
    """residual: the pulls beyond what the references share; centred: as a restricted test sees them."""

    pulls: Matrix = field(repr=False)
    residual: Matrix | None = field(repr=False)
    densities: tuple[PatternScores, ...] = field(repr=False)
    centred: Matrix | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class RankLevel(ScoredLevel[RankTest]):
    """Nothing in it is in the order of the keys."""

    densities: KeyDensities


@dataclass(frozen=True, kw_only=True)
class ChoiceLevel(ScoredLevel[ChoiceTest]):
    """scores: tests by every score alone, whichever counts; nothing in it is about a single image or block."""

    scores: tuple[ChoiceTest, ...]


@dataclass(frozen=True, kw_only=True)
class CombinedLevel(ScoredLevel[Combination]):
    """Of several mark sets: nothing about single patterns or keys."""


SingleLevel = AssociatedLevel | RankLevel | ChoiceLevel
AnyLevel = ScoredLevel[Test]
