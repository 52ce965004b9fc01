"""A mark on its way into a suspect's process. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class AppliedMark:
    """One pattern, or one per image, put into images before the suspect sees them.

    Attributes:
        settings_json: ``MarkSettings.to_json()``: family, side, opacity.
        patterns: (1, …) for all images or (B, …), uint8, as the family's ``patterns`` gave them.
        placements: (1, 2) or (B, 2) fractions in [0, 1): down and across.
    """

    settings_json: str
    patterns: NDArray[np.uint8]
    placements: NDArray[np.floating[Any]]
