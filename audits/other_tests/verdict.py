"""What every other test hands back: what its authors read as a p-value, and a label that says it is none."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from provenance.errors import TouchmarkError

DISCLAIMER = "No exact error rate: this number is not a p-value for the question whether the release was used."


class OtherTestError(TouchmarkError):
    """Answers to which such a test cannot be applied; the sentence tells a person why."""


@dataclass(frozen=True)
class Verdict:
    """Outcome of one test.

    test: short name, as in tables; nominal_p: what its authors would report as p-value; statistic: its test
    statistic; samples: images behind it; source: where it is described; details: further numbers of that test.
    """

    test: str
    nominal_p: float
    statistic: float
    samples: int
    source: str
    details: dict[str, float] = field(default_factory=dict)
    disclaimer: str = DISCLAIMER


def checked(values: NDArray[np.floating], what: str, least: int, dimensions: int) -> NDArray[np.float64]:
    """Finite float64 of `dimensions` axes with at least `least` rows, or OtherTestError."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != dimensions or array.shape[0] < least:
        raise OtherTestError(f"{what} must cover at least {least} images; they have the shape {array.shape}.")
    if not np.isfinite(array).all():
        raise OtherTestError(f"{what} hold values that are no finite numbers.")
    return array
