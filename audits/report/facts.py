"""What an evidence report states, as plain frozen values: the PDF and the JSON are two faces of these facts.

All digests are lower-case hex SHA-256; all times are ISO 8601 in UTC with a trailing Z ("2026-05-04T03:02:01Z").
p-values are floats in (0, 1]; None means "was not measured", and the document says so.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from audits.report.plain import plain, read
from provenance.canonical import CanonicalError, canonical_json
from provenance.errors import TouchmarkError

FORMAT = "touchmark/report/1"

Conclusion = Literal["evidence", "inconclusive", "no evidence"]
Level = Literal["features", "soft", "hard"]
CountedP = Literal["with references", "without references"]
TestName = Literal["permutation", "rank"]


class FactsError(TouchmarkError, ValueError):
    """The facts of a report contradict each other or cannot be read; the message says which."""


@dataclass(frozen=True)
class Party:
    """Somebody who acted: role is "rights-holder", "auditor", "legal" …; name is the person, where one acted."""

    role: str
    organisation: str
    name: str = ""
    contact: str = ""


@dataclass(frozen=True)
class DatasetFacts:
    name: str
    owner: str
    licence: str
    contact: str
    modality: str
    version: int
    registered_at: str
    files: int
    size: int  # bytes of all files together
    root: str  # RFC 6962 Merkle root of the manifest
    keys_dropped: int = 0  # keys drawn for this version and never used


@dataclass(frozen=True)
class ReleaseFacts:
    """One marked copy, and how its key was fixed before anybody could choose it to fit a model."""

    label: str
    recipient: str
    root: str
    files: int
    marked: int
    embedded_at: str
    settings: Mapping[str, Any]  # the public mark settings, as they were committed
    commitment: str
    committed_at: str
    beacon: str
    beacon_source: str
    beacon_at: str
    probes_digest: str = ""  # over the probes and group images that its key chose, in order
    psnr_mean: float | None = None  # decibels over the marked images
    survival_least: float | None = None  # share of the pattern's energy kept by the worst marked image, 0..1


@dataclass(frozen=True)
class SuspectFacts:
    name: str
    digest: str
    access: str  # how it was reached: "weights", …
    architecture: str
    file: str  # the name under which the weights came
    returns: tuple[str, ...]
    input_size: tuple[int, ...]  # empty: the architecture's own
    registered_at: str
    registered_by: str = ""
    size: int | None = None  # bytes


@dataclass(frozen=True)
class ReferenceFacts:
    """A model declared never to have seen the release; it was audited itself, at both tails, before it served."""

    name: str
    digest: str
    architecture: str
    declaration: str
    declared_by: str
    declared_at: str


@dataclass(frozen=True)
class PlanFacts:
    digest: str
    locked_at: str
    locked_by: str
    level: Level  # the level whose p counts
    levels: tuple[Level, ...]  # every level that was measured
    statistic: str
    counted: CountedP
    alpha: float
    permutations: int  # how many were asked for, all where fewer exist; of a rank test, decoy keys at most
    probes: int
    code_version: str
    stopping_rule: str
    correction: str
    test: TestName = "permutation"  # "rank": plain marks, the true key's rank among decoy keys


@dataclass(frozen=True)
class RunFacts:
    started_at: str
    finished_at: str
    attempts: int
    earlier_runs: int  # runs of the same suspect against the same releases before this one, failed ones included
    device: str
    queries: int  # forward passes of the suspect and the references together
    missing_answers: int = 0
    nonce: str = ""  # 32 bytes in hex, drawn once after the lock; the decoy keys of a rank test follow from it


@dataclass(frozen=True)
class ReleaseResult:
    """The test of one release at one level.

    `corrected` is Holm's p over the family of tests that the plan names; it and the conclusion exist at the plan's own
    level only, which alone decides (primary). The other levels stand beside it for information.
    """

    release: str
    level: Level
    groups: int
    p_without: float | None
    p_with: float | None
    corrected: float | None
    smallest_p: float
    permutations: int  # how many stood behind p, all G! where exact; of a rank test, decoy keys
    exact: bool
    conclusion: Conclusion | None
    primary: bool


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


@dataclass(frozen=True)
class Control:
    """A test whose outcome is known beforehand, run beside the real one. tail "low" asks for the opposite effect."""

    name: str
    kind: Literal["wrong key", "reference", "reference left out", "positive"]
    release: str
    level: Level
    p: float
    tail: Literal["high", "low"] = "high"


@dataclass(frozen=True)
class LogLine:
    seq: int
    at: str
    actor: str
    organisation: str
    verb: str
    subject: str
    hash: str
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LogExtract:
    """The log of one organisation: its rows about this matter, and the check of its whole chain at issue."""

    organisation: str
    lines: tuple[LogLine, ...]
    entries: int
    intact: bool
    head_seq: int
    head: str
    checked_at: str
    faults: tuple[str, ...] = ()
    organisation_id: str = ""


@dataclass(frozen=True)
class ReportFacts:
    number: str  # the document's own number, on every page
    issued_at: str
    issued_by: Party
    parties: tuple[Party, ...]
    dataset: DatasetFacts
    releases: tuple[ReleaseFacts, ...]
    suspect: SuspectFacts
    references: tuple[ReferenceFacts, ...]
    plan: PlanFacts
    run: RunFacts
    result: Result
    scores: tuple[DensityScores, ...]
    histograms: tuple[Histogram, ...]
    controls: tuple[Control, ...]
    limitations: tuple[str, ...]  # said of this audit; the general ones stand in the document
    logs: tuple[LogExtract, ...]
    code_version: str
    demo: bool = False

    def __post_init__(self) -> None:
        labels = [release.label for release in self.releases]
        if not labels:
            raise FactsError("A report needs at least one release.")
        if len(set(labels)) != len(labels):
            raise FactsError("Two releases of one report share a label; give each its own.")
        named = [row.release for row in self.result.rows] + [score.release for score in self.scores]
        named += [histogram.release for histogram in self.histograms] + [control.release for control in self.controls]
        for name in named:
            if name not in labels:
                raise FactsError(f"A result names the release “{name}”, which the report does not describe.")
        if not any(row.primary for row in self.result.rows):
            raise FactsError("No row of the result is marked as the one that decides.")
        for histogram in self.histograms:
            if len(histogram.edges) != len(histogram.counts) + 1:
                raise FactsError("A histogram needs one edge more than it has counts.")

    def to_json(self) -> bytes:
        """Canonical JSON (UTF-8) of all facts; the same facts give the same bytes."""
        try:
            return canonical_json({"format": FORMAT, "facts": plain(self)})
        except CanonicalError as error:
            raise FactsError(str(error)) from error

    @property
    def digest(self) -> str:
        """SHA-256 of `to_json()`; the PDF prints it, which ties the two files together."""
        return hashlib.sha256(self.to_json()).hexdigest()

    @classmethod
    def from_json(cls, data: bytes) -> "ReportFacts":
        """Reads what `to_json` wrote. Raises FactsError for anything else."""
        try:
            outer = json.loads(data)
            if not isinstance(outer, dict) or outer.get("format") != FORMAT:
                raise FactsError(f"This is no report in the format {FORMAT}.")
            return read(cls, outer["facts"])
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise FactsError(f"This report's facts cannot be read: {error}") from error
