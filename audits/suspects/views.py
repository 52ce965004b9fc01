"""Views of images on their way into a suspect's process: whole-number weights, so that every sum is exact. No torch.

How they are drawn: `audits.asking.views`; how they are made of pixels: `audits.suspects.view_pixels`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audits.suspects.errors import SuspectError

PLACE_UNIT = 128  # weights of rows and of columns are whole 128ths: 255 * 128 * 128 fits in single precision
COLOUR_UNIT = 1024  # those of colours whole 1024ths
LARGEST_COLOUR = 4 * COLOUR_UNIT


@dataclass(frozen=True)
class AppliedViews:
    """V views of images of S pixels a side, the same for all images and models.

    rows, columns (V, S, S) uint8: what every source row (last axis) gives to each row of the view, in 128ths that sum
    to 128. colours (V, 3, 3) int64: the same of colours, in 1024ths. offsets (V,) float64: part of the image's mean
    grey level that is added to every pixel. Raises SuspectError.
    """

    rows: NDArray[np.uint8]
    columns: NDArray[np.uint8]
    colours: NDArray[np.int64]
    offsets: NDArray[np.float64]

    def __post_init__(self) -> None:
        count, size = len(self.offsets), self.rows.shape[-1]
        for weights in (self.rows, self.columns):
            if weights.shape != (count, size, size) or weights.dtype != np.uint8:
                raise SuspectError("request", "A view has a weight for every pair of rows, and of columns.")
            if not count or (weights.sum(axis=2, dtype=np.int64) != PLACE_UNIT).any():
                raise SuspectError("request", "The weights of a row or column of a view sum to 128.")
        if self.colours.shape != (count, 3, 3) or np.abs(self.colours).max() > LARGEST_COLOUR:
            raise SuspectError("request", "A view mixes three colours from three, none of them more than fourfold.")
        if self.offsets.shape != (count,) or not (np.abs(self.offsets) <= LARGEST_COLOUR / COLOUR_UNIT).all():
            raise SuspectError("request", "A view adds at most four times the mean grey level.")

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return self.rows.shape[-1]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """As they go through the pipe."""
        return {"rows": self.rows, "columns": self.columns, "colours": self.colours, "offsets": self.offsets}
