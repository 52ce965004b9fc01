"""From stored answers to pulls and density scores, at every level that the answers allow (method.md, section 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audits.asking.measuring import CLEAN, GROUPS, KEY, WRONG, Answers
from audits.statistics.density import (
    LEVELS,
    DegenerateAnswersError,
    DensityScores,
    Floats,
    Level,
    Standardiser,
    answered_rows,
    as_no_shift,
    density_scores,
    group_means,
    likeliest,
    phi_hard,
    phi_soft,
    pulls,
)

Phi = Callable[[NDArray[np.floating]], Floats]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class LevelScores:
    """What one model's answers say at one level.

    pulls (G, G) float64: A[j, g]; densities: four scores for each of the G patterns; wrong_pulls (G, G): the same for
    the wrong key's patterns, where they were asked; missing: answers that never came, scored as no shift.
    """

    pulls: Floats = field(repr=False)
    densities: tuple[DensityScores, ...]
    wrong_pulls: Floats | None = field(repr=False)
    missing: int


def available_levels(answers: Answers) -> tuple[Level, ...]:
    """Levels that these answers allow, in the fixed order features, soft, hard."""
    given = {level for level in LEVELS if answers.has(level)}
    if "soft" in given:
        given.add("hard")
    return tuple(level for level in LEVELS if level in given)


def score_level(answers: Answers, level: Level, groups: int, group_of: NDArray[np.int64]) -> LevelScores:
    """Pulls and density scores at one level; group_of (M,) as in the question that was asked.

    Raises DegenerateAnswersError where the model says the same to every clean probe, DensityError for broken answers.
    """
    clean = _Clean.of(answers, level)
    group_values = clean.read(GROUPS)
    of_groups = group_means(clean.phi(group_values), group_of, groups)
    missing = int((~clean.answered).sum() + (~answered_rows(group_values)).sum())
    marked_means, densities = [], []
    for pattern in range(groups):
        marked, lost = clean.marked(f"{KEY}-{pattern:03d}")
        missing += lost
        marked_means.append(marked.mean(axis=0))
        densities.append(density_scores(marked, clean.scores))
    clean_mean = clean.scores.mean(axis=0)
    wrong = None
    if answers.has_wrong_key:
        means = [clean.marked(f"{WRONG}-{pattern:03d}")[0].mean(axis=0) for pattern in range(groups)]
        wrong = pulls(np.stack(means), clean_mean, of_groups)
    return LevelScores(pulls(np.stack(marked_means), clean_mean, of_groups), tuple(densities), wrong, missing)


def score_levels(
    answers: Answers, groups: int, group_of: NDArray[np.int64]
) -> tuple[dict[Level, LevelScores], dict[Level, str]]:
    """All levels that can be scored, and for those that cannot, why."""
    scored: dict[Level, LevelScores] = {}
    reasons: dict[Level, str] = {}
    for level in available_levels(answers):
        try:
            scored[level] = score_level(answers, level, groups, group_of)
        except DegenerateAnswersError as error:
            reasons[level] = error.sentence
    return scored, reasons


def score_keys(answers: Answers, level: Level, condition: str, keys: range) -> tuple[list[DensityScores], int]:
    """Density scores of single keys' marks, conditions "<condition>-<key>", and how many answers never came.

    All keys go through the same map of outputs, which the clean probes alone fix, so that none of them is favoured.
    Raises as `score_level`.
    """
    clean = _Clean.of(answers, level)
    scores, missing = [], 0
    for key in keys:
        marked, lost = clean.marked(f"{condition}-{key:03d}")
        missing += lost
        scores.append(density_scores(marked, clean.scores))
    return scores, missing


def densities_of_pairs(
    answers: Answers, level: Level, group_of: NDArray[np.int64], assignment: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Density of every probe, clean and marked with every pattern, to the group that this pattern marks.

    assignment (G,): pattern j marks group assignment[j]. Returns (G, N) and (G, N), for the other tests, which compare
    pairs of images. Missing answers count as no shift. Raises as `score_level`.
    """
    clean = _Clean.of(answers, level)
    own = group_means(clean.phi(clean.read(GROUPS)), group_of, len(assignment))[assignment]
    marked = [clean.marked(f"{KEY}-{pattern:03d}")[0] @ mean for pattern, mean in enumerate(own)]
    return np.stack([clean.scores @ mean for mean in own]), np.stack(marked)


def labels_of_pairs(answers: Answers, group_of: NDArray[np.int64], groups: int) -> tuple[Labels, Labels]:
    """Predicted labels of the marked probes (G, N), and the label that most images of every group get (G,).

    Probes that were not answered under every pattern are left out. Raises DegenerateAnswersError where a group's
    images got no answer.
    """

    def read(condition: str) -> NDArray[np.float32]:
        given = answers.read(condition, "hard") if answers.has("hard") else likeliest(answers.read(condition, "soft"))
        return given[:, 0]

    of_groups, answered = read(GROUPS), np.isfinite(read(GROUPS))
    most = []
    for group in range(groups):
        found = of_groups[(group_of == group) & answered].astype(np.int64)
        if not len(found):
            raise DegenerateAnswersError("The model answered none of the images of one group.")
        most.append(int(np.bincount(found).argmax()))
    marked = np.stack([read(f"{KEY}-{pattern:03d}") for pattern in range(groups)])
    return marked[:, np.isfinite(marked).all(axis=0)].astype(np.int64), np.array(most, dtype=np.int64)


@dataclass(frozen=True)
class _Clean:
    """Clean probes at one level, and the map of outputs phi that they alone fix and all other answers go through.

    kind: of the stored answers that the level is read from. scores: phi of the clean probes (N, d); answered (N,).
    """

    answers: Answers
    kind: str
    phi: Phi
    scores: Floats
    answered: NDArray[np.bool_]

    @classmethod
    def of(cls, answers: Answers, level: Level) -> _Clean:
        kind = level if answers.has(level) else "soft"
        values = answers.read(CLEAN, kind)
        phi = _phi(level, kind, values, answers)
        return cls(answers, kind, phi, phi(values), answered_rows(values))

    def read(self, condition: str) -> NDArray[np.floating]:
        return self.answers.read(condition, self.kind)

    def marked(self, condition: str) -> tuple[Floats, int]:
        """Scores of the probes under a condition (N, d), missing ones as no shift, and how many are missing."""
        values = self.read(condition)
        answered = answered_rows(values)
        return as_no_shift(self.phi(values), self.scores, answered, self.answered), int((~answered).sum())


def _phi(level: Level, kind: str, clean_values: NDArray[np.floating], answers: Answers) -> Phi:
    if level == "features":
        return Standardiser.fit(clean_values).phi
    if level == "soft":
        return phi_soft
    if kind == "soft":
        return lambda soft: phi_hard(likeliest(soft), soft.shape[1])
    classes = answers.largest("hard") + 1
    return lambda labels: phi_hard(labels, classes)
