"""What every network gives, whoever computes it."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

Outputs = tuple[Tensor | None, Tensor | None]


class Network(Protocol):
    """Takes normalised images (B, C, S, S); returns features (B, d) or None and probabilities (B, k) or None."""

    def __call__(self, images: Tensor) -> Outputs: ...

    def of_any_size(self) -> Network:
        """The same network without the one size that its file declares; whether it can compute others shows then."""
        ...
