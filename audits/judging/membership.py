"""From stored answers to views to membership scores, at every level that the answers allow (method.md, section 12)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from audits.asking.view_questions import ViewAnswers
from audits.statistics.density import LEVELS, DegenerateAnswersError, Floats, Level, likeliest
from audits.statistics.membership import (
    Moments,
    caption_density,
    log_ratios,
    view_agreement,
    view_confidence,
    view_density,
)

MembershipScore = Literal["density", "confidence", "caption"]
SCORES: tuple[MembershipScore, ...] = get_args(MembershipScore)
DENSITY: MembershipScore = "density"
CONFIDENCE: MembershipScore = "confidence"
CAPTION: MembershipScore = "caption"


@dataclass(frozen=True)
class MembershipScores:
    """What one model's answers say at one level about n alternatives.

    scores: each (n,), NaN where too few views were answered; missing: views that never were.
    """

    scores: Mapping[MembershipScore, Floats] = field(repr=False)
    missing: int

    def only(self, names: Collection[MembershipScore]) -> MembershipScores:
        """Of these scores alone."""
        return replace(self, scores={name: values for name, values in self.scores.items() if name in names})


def membership_levels(answers: ViewAnswers) -> tuple[dict[Level, MembershipScores], dict[Level, str]]:
    """All levels that can be scored, and for those that cannot, why. Raises DensityError for broken answers."""
    scored: dict[Level, MembershipScores] = {}
    reasons: dict[Level, str] = {}
    given = {level for level in LEVELS if answers.has(level)}
    for level in (one for one in LEVELS if one in given or (one == "hard" and "soft" in given)):
        try:
            scored[level] = membership_scores(answers, level)
        except DegenerateAnswersError as error:
            reasons[level] = error.sentence
    return scored, reasons


def membership_scores(answers: ViewAnswers, level: Level) -> MembershipScores:
    """Scores at one level. Raises DegenerateAnswersError where the model says the same to every view."""
    if level == "hard":
        labels = np.concatenate(list(_labels(answers)))
        return MembershipScores({DENSITY: view_agreement(labels)}, int((~np.isfinite(labels)).sum()))
    moments = reduce(add, (Moments.of(_rows(part)) for part in _values(answers, level)))
    parts = [(view_density(part, moments), _missing(part)) for part in _values(answers, level)]
    scores: dict[MembershipScore, Floats] = {DENSITY: np.concatenate([density for density, _ in parts])}
    if level == "soft":
        scores[CONFIDENCE] = np.concatenate([view_confidence(part) for part in answers.parts("soft")])
    if level == "features" and answers.has("captions"):
        scores[CAPTION] = np.concatenate([caption_density(part[:, :, 0]) for part in answers.parts("captions")])
    return MembershipScores(scores, sum(missing for _, missing in parts))


def _values(answers: ViewAnswers, level: Level) -> Iterator[NDArray[np.floating]]:
    """(m, V, d) at a time: features, or centred log-ratios of the soft labels."""
    if level == "features":
        yield from answers.parts("features")
        return
    for part in answers.parts("soft"):
        yield log_ratios(_rows(part)).reshape(part.shape)


def _labels(answers: ViewAnswers) -> Iterator[NDArray[np.floating]]:
    """(m, V) at a time: the hard labels, or the likeliest of the soft ones."""
    if answers.has("hard"):
        yield from (part[:, :, 0] for part in answers.parts("hard"))
        return
    for part in answers.parts("soft"):
        yield likeliest(_rows(part)).reshape(part.shape[:2])


def _rows(part: NDArray[np.floating]) -> NDArray[np.floating]:
    return part.reshape(-1, part.shape[2])


def _missing(part: NDArray[np.floating]) -> int:
    return int((~np.isfinite(part).all(axis=2)).sum())
