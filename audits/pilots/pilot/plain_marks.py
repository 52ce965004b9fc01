"""What a pilot's models are asked about a plain mark: the true key among decoys (docs/method.md, section 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audits.asking.measuring import KEY, WRONG, Answers, Marks, Question
from audits.judging.ranks import KeyScores
from audits.judging.scoring import available_levels, score_keys
from audits.pilots.pilot.copies import StruckCopy
from audits.statistics.density import DegenerateAnswersError, Level
from audits.statistics.ranktest import decoy_key
from provenance.marks import MarkSecret


@dataclass(frozen=True)
class AskedKeys:
    """patterns (m + 1, ...) uint8: the true key's, then those of its m decoys; places (N, 2): of all, in the probes."""

    copy: StruckCopy = field(repr=False)
    patterns: NDArray[np.uint8] = field(repr=False)
    places: NDArray[np.float64] = field(repr=False)

    @classmethod
    def among(
        cls,
        copy: StruckCopy,
        contents: Sequence[str],
        decoys: int,
        *,
        digest: str,
        nonce: bytes,
        step: Callable[[], None],
    ) -> AskedKeys:
        """contents: digests of the probes; digest, nonce: decoys follow from them; step: may raise to end the work."""
        patterns = [copy.secret.patterns[0]]
        for number in range(decoys):
            if number % 100 == 0:
                step()
            key = decoy_key(digest, nonce, number)
            patterns.append(MarkSecret.derive(key, nonce, copy.secret.settings).patterns[0])
        return cls(copy, np.stack(patterns), copy.secret.placements(contents))

    def question(self, subject: str, wrong: MarkSecret | None) -> Question:
        """wrong: a key beside all of these, for a control."""
        settings, side = self.copy.secret.settings.to_json(), self.copy.images.shape[1]
        return Question(
            subject=subject,
            probes=self.copy.images[list(self.copy.probes)],
            group_images=np.zeros((0, side, side, 3), dtype=np.uint8),
            group_of=np.zeros(0, dtype=np.int64),
            marks=Marks(settings, self.patterns, self.places),
            wrong_marks=Marks(settings, wrong.patterns, self.places) if wrong else None,
        )


def key_scores(answers: Answers, keys: int) -> tuple[dict[Level, KeyScores], dict[Level, str]]:
    """Of all keys, at all levels that can be scored, and for those that cannot, why."""
    scored: dict[Level, KeyScores] = {}
    reasons: dict[Level, str] = {}
    for level in available_levels(answers):
        try:
            scores, missing = score_keys(answers, level, KEY, range(keys))
            wrong = score_keys(answers, level, WRONG, range(1))[0][0] if answers.has_wrong_key else None
        except DegenerateAnswersError as error:
            reasons[level] = error.sentence
        else:
            scored[level] = KeyScores(tuple(scores), wrong, missing)
    return scored, reasons
