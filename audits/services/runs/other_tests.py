"""What other published tests say about the same releases, beside an audit; nothing here decides anything.

Of struck marks and of keyed choices, from answers that the audit has stored; further images, where the plan names
held-out ones, are asked about by `audits.services.runs.held_out`. What comes out names no pattern and no image:
auditors see it as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import isfinite
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from audits.asking.measuring import Answers
from audits.judging.membership import DENSITY, MembershipScores
from audits.judging.result import Findings, LeftOut, OtherTest
from audits.judging.scoring import densities_of_pairs, labels_of_pairs
from audits.other_tests import (
    MIDDLE_LABEL,
    PAIRED_T,
    PAIRED_WILCOXON,
    VIEWS_T,
    VIEWS_WILCOXON,
    OtherTestError,
    Verdict,
    middle_label_verdict,
    sequential_rank,
    verdicts_of_pairs,
    views_within_blocks,
)
from audits.statistics.choices import Blocks
from audits.statistics.density import DensityError, Floats, Level
from audits.statistics.membership import without_gaps
from audits.statistics.permutation import philox_from

PAIRED = f"{PAIRED_T} and {PAIRED_WILCOXON}"
VIEWS_IN_BLOCKS = f"{VIEWS_T} and {VIEWS_WILCOXON}"
NO_SHADOWS = "No reference that could serve as a model that never saw the release was scored at this level."
PLAIN_MARKS = "Plain marks belong to no group, so no image has a target that such a test could compare."


F = TypeVar("F", bound=Findings)


@dataclass
class Comparison:
    """Verdicts about one release, and what was left out with a reason."""

    verdicts: list[OtherTest] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def add(self, level: Level, number: int | None, *verdicts: Verdict) -> None:
        for verdict in verdicts:
            # Where differences do not vary at all, the statistic is infinite, which JSON cannot hold.
            statistic = verdict.statistic if isfinite(verdict.statistic) else None
            where = {"level": level, "set": number, "statistic": statistic}
            self.verdicts.append(OtherTest(**asdict(verdict) | where))

    def leave_out(self, test: str, reason: str, level: Level | None = None, number: int | None = None) -> None:
        self.left_out.append(LeftOut(test=test, reason=reason, level=level, set=number))

    def added_to(self, result: F) -> F:
        return replace(result, other_tests=tuple(self.verdicts), left_out=tuple(self.left_out))


@dataclass(frozen=True)
class AskedSet:
    """One mark set of a release as the suspect answered to it.

    assignment (G,): pattern j marks group assignment[j], None for plain marks; levels: those that were scored;
    number: counted from 1, None where the release has one set only.
    """

    answers: Answers
    group_of: NDArray[np.int64]
    assignment: NDArray[np.int64] | None = field(repr=False)
    levels: Collection[Level] = ()
    number: int | None = None


@dataclass(frozen=True)
class AskedChoice:
    """The keyed choice of a release as models answered to views of its alternatives.

    choice: of the blocks that were asked about; blocks: how many the plan would have asked about; suspect: what was
    scored at the levels that were tested; seed: fixed before the run ended, breaks ties.
    """

    choice: Blocks = field(repr=False)
    blocks: int
    suspect: Mapping[Level, MembershipScores]
    references: Sequence[Mapping[Level, MembershipScores]]
    seed: tuple[str, str]
    number: int | None = None

    def density(self, scores: MembershipScores) -> Floats:
        """(n,) how alike the answers to an image's views are, gaps closed as for our own test."""
        return without_gaps(scores.scores[DENSITY], self.choice.block_of)


def compare(asked: Sequence[AskedSet], images: Comparison, choices: Sequence[AskedChoice] = ()) -> Comparison:
    """All verdicts about one release.

    asked: its struck sets; images: what `audits.services.runs.held_out.ask_held_out` found for this release; choices:
    its keyed ones.
    """
    found = Comparison()
    for chosen in choices:
        for level in chosen.suspect:
            _of_choice(chosen, level, found)
    for one in asked:
        if one.assignment is None:
            found.leave_out(PAIRED, PLAIN_MARKS, number=one.number)
            found.leave_out(MIDDLE_LABEL, PLAIN_MARKS, number=one.number)
            continue
        for level in one.levels:
            try:
                found.add(level, one.number, *_paired(one, level, one.assignment))
            except (OtherTestError, DensityError) as error:
                found.leave_out(MIDDLE_LABEL if level == "hard" else PAIRED, error.sentence, level, one.number)
    found.verdicts += images.verdicts
    found.left_out += images.left_out
    return found


def _paired(one: AskedSet, level: Level, assignment: NDArray[np.int64]) -> list[Verdict]:
    if level == "hard":
        labels, group_label = labels_of_pairs(one.answers, one.group_of, len(assignment))
        return [middle_label_verdict(labels, group_label, assignment)]
    clean, marked = densities_of_pairs(one.answers, level, one.group_of, assignment)
    return verdicts_of_pairs(clean, marked, level == "soft")


def _of_choice(one: AskedChoice, level: Level, found: Comparison) -> None:
    digest, name = one.seed
    blocks = one.choice.block_of, one.choice.home
    own = one.density(one.suspect[level])
    ranked = sequential_rank(own, *blocks, one.blocks, philox_from(digest, f"{name}/{level}/ranks"))
    found.add(level, one.number, ranked)
    shadows = [one.density(scores[level]) for scores in one.references if level in scores]
    if not shadows:
        found.leave_out(VIEWS_IN_BLOCKS, NO_SHADOWS, level, one.number)
        return
    found.add(level, one.number, *views_within_blocks(own, np.stack(shadows), *blocks))
