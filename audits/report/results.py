"""What was measured, as a report states it: tests, scores, controls, what other tests say, and the calibration.

p-values are floats in (0, 1]; None means "was not measured", and the document says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from audits.statistics.density import Level

Conclusion = Literal["evidence", "inconclusive", "no evidence", "exploratory: small p", "exploratory: no small p"]
SingleTest = Literal["permutation", "rank", "choice"]


@dataclass(frozen=True)
class ReleaseResult:
    """The test of one release, or of one of its mark sets, at one level.

    The conclusion stands at the level that decided. Rows of a mark set are not corrected and never decide. Old reports
    correct at the plan's own level only, and give no reason.
    """

    release: str
    level: Level
    groups: int
    p_without: float | None
    p_with: float | None
    corrected: float | None  # p after the correction over `together` p-values
    smallest_p: float
    permutations: int  # behind p, all there are where exact; of a rank test, decoy keys; of a choice, blocks
    exact: bool
    conclusion: Conclusion | None
    primary: bool  # the level may decide
    set: int | None = None  # number of the mark set from 1; None: the release as a whole
    test: Literal["permutation", "rank", "choice", "combined"] | None = None  # None in old reports: the plan's own
    combined: int = 0  # how many mark sets this p combines; 0: it is a single test's
    together: int = 0
    reason: str = ""  # over which p-values it was corrected, and why
    smallest_corrected_p: float | None = None  # of a level that may decide; None in old reports


@dataclass(frozen=True)
class Result:
    conclusion: Conclusion
    sentence: str
    p_raw: float
    p_corrected: float
    smallest_p: float
    corrected_over: int  # number of tests in the Holm family
    rows: tuple[ReleaseResult, ...]
    reasons: tuple[str, ...] = ()  # why a result is inconclusive
    smallest_corrected_p: float | None = None  # what `smallest_p` is corrected to; None in old reports


@dataclass(frozen=True)
class DensityScores:
    """The scores of one pattern (or, with pattern "mean", the mean over patterns) at one level."""

    release: str
    level: Level
    pattern: str
    density_gain: float
    divergence: float
    displacement: float
    coherence: float
    # Of patterns to the groups that the key assigned to them: as a mean only, single ones would tell the assignment.
    pull: float | None = None
    set: int | None = None


@dataclass(frozen=True)
class Histogram:
    """The statistic under the permutations: counts[i] lie in [edges[i], edges[i + 1]); true is the key's own.

    Of a rank test: log10 of Q, of the decoy keys and of the true key.
    """

    release: str
    level: Level
    references: bool  # whether the references were regressed out
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    true: float
    set: int | None = None
    test: SingleTest | None = None  # None in old reports: the plan's own


@dataclass(frozen=True)
class Control:
    """A test whose outcome is known beforehand, run beside the real one. tail "low" asks for the opposite effect."""

    name: str
    kind: Literal["wrong key", "reference", "reference left out", "positive"]
    release: str
    level: Level
    p: float
    tail: Literal["high", "low"] = "high"
    set: int | None = None


@dataclass(frozen=True)
class Rate:
    """How often a test rejected models that never saw a release; [low, high] is the 99 % interval of the rate."""

    alpha: float
    count: int
    rate: float
    low: float
    high: float
    finding: str  # "as often as it should", "more rarely" or "too often"


@dataclass(frozen=True)
class OtherTest:
    """What another published test says of the same answers. `nominal_p` is its own reading; it has no error rate.

    images: how many stand behind it. innocent: how often it accuses models that never saw a release, at 0.05, by the
    newest calibration; None where none covers it. worth: what its number is, where that is not the same for all.
    """

    release: str
    set: int | None
    level: Level
    test: str
    nominal_p: float
    images: int
    source: str
    innocent: Rate | None = None
    worth: str = field(default="", metadata={"left_out": True})  # of the JSON of reports that came before it


@dataclass(frozen=True)
class CalibratedTest:
    """One line of a calibration: a test at one level, for one family of marks, with or without references."""

    test: str
    level: Level
    family: str
    references: bool
    pairs: int
    rejections: tuple[Rate, ...]


@dataclass(frozen=True)
class CalibrationFacts:
    """What was measured of the tests' error rates: p-values of models that never saw a release, with random keys."""

    id: str
    calibrated_at: str
    code_version: str
    audit_code_version: str
    same_code: bool
    holds: bool | None  # None: too few pairs to tell
    sentence: str
    others_sentence: str
    pairs: int
    null_models: Mapping[str, int]
    families_missing: tuple[str, ...]
    rows: tuple[CalibratedTest, ...]
    others: tuple[CalibratedTest, ...]
    differences: tuple[str, ...] = ()  # how a test of the audit differs from the nearest calibrated one
