"""Looks at a test before all of it was asked about: how alpha is spent on them, so that the size is exact by bound.

Every look j has its share w_j of alpha, declared beforehand, all shares together one. p = min_j p_j / w_j over the
looks that were made is a p-value whenever and why ever the looking ends: P(p <= a) <= sum_j P(p_j <= w_j a) <= a
(docs/method.md, section 12).
"""

from __future__ import annotations

from collections.abc import Sequence

MOST_LOOKS = 10
EARLY = 0.1  # the share of all looks but the last together: a run that goes to its end loses a tenth of alpha


def shares(looks: int) -> tuple[float, ...]:
    """w_1 … w_k."""
    if looks == 1:
        return (1.0,)
    return (EARLY / (looks - 1),) * (looks - 1) + (1 - EARLY,)


def blocks_at(look: int, looks: int, blocks: int) -> int:
    """How many blocks, in their order, are looked at: equal parts, rounded up; look from 1."""
    return -(-blocks * look // looks)


def over_looks(p_values: Sequence[float], looks: int) -> float:
    """p of the looks made so far, of `looks` that were declared."""
    return min(1.0, *(p / share for p, share in zip(p_values, shares(looks), strict=False)))
