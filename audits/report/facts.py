"""What an evidence report states, as plain frozen values: the PDF and the JSON are two faces of these facts.

All digests are lower-case hex SHA-256; all times are ISO 8601 in UTC with a trailing Z ("2026-05-04T03:02:01Z").
p-values are floats in (0, 1]; None means "was not measured", and the document says so.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from audits.judging.codec import strict_converter, structured
from audits.planning.choice_words import WORDS, ChoiceWords
from audits.planning.exposure import Exposure
from audits.report.keys import KeysFacts
from audits.report.memberships import Membership
from audits.report.results import (
    CalibrationFacts,
    Control,
    DensityScores,
    Histogram,
    OtherTest,
    Result,
)
from audits.statistics.density import Level
from provenance.canonical import CanonicalError, canonical_json
from provenance.errors import TouchmarkError
from provenance.marks.versions import VERSIONS
from provenance.marks.withheld import WITHHELD

FORMAT = "touchmark/report/1"
LEFT_OUT = {"left_out": True}  # of the JSON where it holds its default, as in reports that came before it
_CONVERTER = strict_converter(leave_out_defaults=False)

CountedP = Literal["with references", "without references"]
# "rank": plain marks, the true key's rank among decoy keys; "mixed": releases that bear sets of both kinds;
# "choice": releases that bear no mark and make a keyed choice: images stayed home, or come in one of two versions.
TestName = Literal["permutation", "rank", "mixed", "choice"]


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
class RestrictionFacts:
    """Which assignments a mark set's settings allow, fixed before its key was drawn; the test compares with no others.

    set: number of the mark set from 1, None where the release has one; classes: size classes of groups, within which
    patterns were exchanged; forbidden: how many pairs of pattern and group were ruled out; possible: assignments in
    all, None where they are too many to count.
    """

    set: int | None
    classes: int
    forbidden: int
    possible: int | None


@dataclass(frozen=True)
class ReleaseFacts:
    """One marked copy, and how its key was fixed before anybody could choose it to fit a model."""

    label: str
    recipient: str
    root: str
    files: int
    marked: int
    embedded_at: str
    settings: Mapping[str, Any]  # the public mark settings, as they were committed; several sets stand under "sets"
    commitment: str
    committed_at: str
    beacon: str
    beacon_source: str
    beacon_at: str
    probes_digest: str = ""  # over the probes and group images that its key chose, in order
    psnr_mean: float | None = None  # decibels over the marked images
    survival_least: float | None = None  # share of the pattern's energy kept by the worst marked image, 0..1
    restrictions: tuple[RestrictionFacts, ...] = ()
    blocks: int = field(default=0, metadata=LEFT_OUT)  # of alternatives, one of each of which stayed home
    alternatives: int = field(default=0, metadata=LEFT_OUT)  # in all blocks together
    exposure: Exposure | None = field(default=None, metadata=LEFT_OUT)  # of its blocks, when the run was ordered
    outlets: str = field(default="", metadata=LEFT_OUT)  # whether what stayed home is kept from every other outlet
    in_versions: int = field(default=0, metadata=LEFT_OUT)  # files of the copy that are one of two versions
    versions_psnr_mean: float | None = field(default=None, metadata=LEFT_OUT)  # decibels to their sources

    @property
    def mark_sets(self) -> tuple[Mapping[str, Any], ...]:
        """The settings of every mark set, in their order."""
        return tuple(self.settings["sets"]) if "sets" in self.settings else (self.settings,)


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
    top_k: int | None = None  # how many of the likeliest labels a soft answer names; None: all
    origin: str | None = None  # in the words of whoever registered it; None: an old report, which did not say
    tensors: str = ""  # digest over the tensors' values; empty: not known, or an old report
    also_registered: tuple[str, ...] = ()  # other names of the same suspect in the auditor's organisation
    registered_elsewhere: int = 0  # how many registrations of it others made


@dataclass(frozen=True)
class ReferenceFacts:
    """A model declared never to have seen the release; it was audited itself, at both tails, before it served."""

    name: str
    digest: str
    architecture: str
    declaration: str
    declared_by: str
    declared_at: str
    origin: str | None = None  # as of the suspect


@dataclass(frozen=True)
class HeldOutFacts:
    """Images that never left the house, for the tests of others that compare released with held-out images."""

    name: str
    version: int
    root: str


@dataclass(frozen=True)
class PlanFacts:
    digest: str
    locked_at: str
    locked_by: str
    level: Level  # the level whose p counts, the first of them where there are several
    levels: tuple[Level, ...]  # every level that was measured
    statistic: str
    counted: CountedP
    alpha: float
    permutations: int  # how many were asked for, all where fewer exist; of a rank test, decoy keys at most
    probes: int
    code_version: str
    stopping_rule: str
    correction: str
    test: TestName = "permutation"
    primary_levels: tuple[Level, ...] = ()  # all levels that may decide; empty in old reports: `level` alone
    series_is_open: bool = False  # runs may go on until one succeeds
    held_out: HeldOutFacts | None = None
    decoys: int = 0  # of a mixed plan, decoy keys at most for its plain sets
    combination: str = ""  # how the p-values of several mark sets become one
    exploratory: bool = False  # no finding of it is evidence
    recipient_at_issue: str = ""  # named beforehand; copies for others then do not count
    looks_rule: str = field(default="", metadata=LEFT_OUT)  # of a keyed choice beside marks: when a run may end early
    views: int = field(default=0, metadata=LEFT_OUT)  # of every alternative of a keyed choice
    smallest_crop: float = field(default=0.0, metadata=LEFT_OUT)  # share of an image that a view shows at least
    membership_score: str = field(default="", metadata=LEFT_OUT)
    captions_left_out: str = field(default="", metadata=LEFT_OUT)  # why nobody was asked, where one would expect it

    @property
    def deciding(self) -> tuple[Level, ...]:
        return self.primary_levels or (self.level,)


@dataclass(frozen=True)
class RunFacts:
    started_at: str
    finished_at: str
    attempts: int
    earlier_runs: int  # runs of the same suspect against the same releases ordered before it, failed ones included
    device: str
    queries: int  # forward passes of the suspect and the references together
    missing_answers: int = 0
    other_runs: int = 0  # runs of other weights against one of the same releases before this one
    other_weights: int = 0  # how many weights files those runs tested
    later_runs: int = 0  # runs of the same suspect against the same releases ordered after it, up to the issue
    nonce: str = ""  # 32 bytes in hex, drawn once after the lock; decoy keys and random permutations follow from it


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
    other_tests: tuple[OtherTest, ...] = ()
    other_tests_left_out: tuple[str, ...] = ()
    calibration: CalibrationFacts | None = None  # None: none was ever finished, or an old report
    keys: KeysFacts | None = None  # None: an old report
    memberships: tuple[Membership, ...] = field(default=(), metadata=LEFT_OUT)
    # Sentences about how often audits of a pilot found these settings, made before the plan was locked; none: no pilot.
    pilots: tuple[str, ...] = field(default=(), metadata=LEFT_OUT)

    def __post_init__(self) -> None:
        labels = [release.label for release in self.releases]
        if not labels:
            raise FactsError("A report needs at least one release.")
        if len(set(labels)) != len(labels):
            raise FactsError("Two releases of one report share a label; give each its own.")
        named = [row.release for row in self.result.rows] + [score.release for score in self.scores]
        named += [histogram.release for histogram in self.histograms] + [control.release for control in self.controls]
        named += [other.release for other in self.other_tests] + [one.release for one in self.memberships]
        for name in named:
            if name not in labels:
                raise FactsError(f"A result names the release “{name}”, which the report does not describe.")
        if not any(row.primary for row in self.result.rows):
            raise FactsError("No row of the result is marked as the one that decides.")
        for histogram in self.histograms:
            if len(histogram.edges) != len(histogram.counts) + 1:
                raise FactsError("A histogram needs one edge more than it has counts.")

    @property
    def choice(self) -> ChoiceWords:
        """How to speak of the keyed choice of its releases, where there is one; all are of one kind."""
        return WORDS[VERSIONS if self.has_versions else WITHHELD]

    @property
    def has_versions(self) -> bool:
        """Whether its keyed choice is one between two versions of a picture."""
        return any(settings.get("kind") == VERSIONS for release in self.releases for settings in release.mark_sets)

    def to_json(self) -> bytes:
        """Canonical JSON (UTF-8) of all facts; the same facts give the same bytes."""
        try:
            return canonical_json({"format": FORMAT, "facts": _CONVERTER.unstructure(self)})
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
            return structured(_CONVERTER, outer["facts"], cls)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise FactsError(f"This report's facts cannot be read: {error}") from error
