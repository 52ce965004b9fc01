"""What other published verifiers say about the same releases, beside an audit; nothing here decides anything.

From answers that the audit has stored; `audits.services.runs.held_out` asks about further images where the plan names
held-out ones. What comes out names no pattern and no image: auditors see it as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audits.asking.measuring import Answers
from audits.judging.scoring import densities_of_pairs, labels_of_pairs
from audits.other_tests import (
    MIDDLE_LABEL,
    PAIRED_T,
    PAIRED_WILCOXON,
    Verdict,
    VerifierError,
    middle_label_verdict,
    verdicts_of_pairs,
)
from audits.statistics.density import DensityError, Level

PAIRED = f"{PAIRED_T} and {PAIRED_WILCOXON}"
PLAIN_MARKS = "Plain marks belong to no group, so no image has a target that such a test could compare."


@dataclass
class Comparison:
    """Verdicts ready for JSON, as in an audit row's "verifiers", and what was left out with a reason."""

    verdicts: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)

    def add(self, level: str, number: int | None, *verdicts: Verdict) -> None:
        for verdict in verdicts:
            facts = {"level": level, "set": number, **verdict.to_dict()}
            # Where differences do not vary at all, the statistic is infinite, which JSON cannot hold.
            self.verdicts.append(facts | {"statistic": verdict.statistic if isfinite(verdict.statistic) else None})

    def leave_out(self, verifier: str, reason: str, **where: Any) -> None:
        self.left_out.append({"verifier": verifier, "reason": reason, **where})

    def to_result(self) -> dict[str, list[dict[str, Any]]]:
        """The two keys that an audit row's result gets."""
        return {"verifiers": self.verdicts, "verifiers_left_out": self.left_out}


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


def compare(asked: Sequence[AskedSet], images: Comparison) -> dict[str, list[dict[str, Any]]]:
    """All verdicts about one release: {"verifiers": [...], "verifiers_left_out": [...]} for its result.

    asked: its mark sets; images: what `audits.services.runs.held_out.ask_held_out` found for this release.
    """
    found = Comparison()
    for one in asked:
        where = {"set": one.number} if one.number else {}
        if one.assignment is None:
            found.leave_out(PAIRED, PLAIN_MARKS, **where)
            found.leave_out(MIDDLE_LABEL, PLAIN_MARKS, **where)
            continue
        for level in one.levels:
            try:
                found.add(level, one.number, *_paired(one, level, one.assignment))
            except (VerifierError, DensityError) as error:
                found.leave_out(MIDDLE_LABEL if level == "hard" else PAIRED, error.sentence, level=level, **where)
    found.verdicts += images.verdicts
    found.left_out += images.left_out
    return found.to_result()


def _paired(one: AskedSet, level: Level, assignment: NDArray[np.int64]) -> list[Verdict]:
    if level == "hard":
        labels, group_label = labels_of_pairs(one.answers, one.group_of, len(assignment))
        return [middle_label_verdict(labels, group_label, assignment)]
    clean, marked = densities_of_pairs(one.answers, level, one.group_of, assignment)
    return verdicts_of_pairs(clean, marked, level == "soft")
