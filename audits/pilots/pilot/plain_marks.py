"""What a pilot's models are asked about a plain mark: the true key among decoys (docs/method.md, section 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audits.asking.decoys import among_decoys
from audits.asking.measuring import Marks, Question
from audits.pilots.pilot.copies import StruckCopy
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
        patterns = among_decoys(copy.secret, decoys, digest=digest, nonce=nonce, beacon=nonce, step=step)
        return cls(copy, patterns, copy.secret.placements(contents))

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
