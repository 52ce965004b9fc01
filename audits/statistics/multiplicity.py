"""Correction for several tests at once: Holm 1979, "A simple sequentially rejective multiple test procedure".

It needs no independence between the tests: releases of one dataset share images and one suspect.
"""

from __future__ import annotations

from collections.abc import Sequence

from provenance.errors import TouchmarkError


class MultiplicityError(TouchmarkError):
    """Something that is no p-value was handed to the correction."""


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm-adjusted p-values in the order given, each in (0, 1].

    The i-th smallest of m is multiplied by m - i (i from 0), capped at one, and never less than the one before.
    Rejecting where adjusted p <= alpha keeps the chance of any false rejection at or below alpha.
    """
    for p in p_values:
        if not 0.0 < p <= 1.0:
            raise MultiplicityError(f"A p-value lies above 0 and at most at 1; this one is {p}.")
    adjusted = [1.0] * len(p_values)
    reached = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        reached = max(reached, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = reached
    return adjusted
