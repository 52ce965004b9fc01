"""What every network gives, whoever computes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from audits.suspects.identity import Named

Outputs = tuple[Tensor | None, Tensor | None]


class Network(Protocol):
    """Takes normalised images (B, C, S, S); returns features (B, d) or None and probabilities (B, k) or None."""

    def __call__(self, images: Tensor) -> Outputs: ...

    @property
    def named(self) -> Named:
        """Which of all its outputs the two are."""
        ...

    def every_output(self, images: Tensor) -> Mapping[int, Tensor]:
        """All rows (B, d) that it computes of normalised images, by number from 1: in single precision and scores as
        they come, whatever the description says. Raises SuspectError."""
        ...

    def of_any_size(self) -> Network:
        """The same network without the one size that its file declares; whether it can compute others shows then."""
        ...
