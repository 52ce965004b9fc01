"""How likely a keyed choice is to be found, before anybody is asked (docs/method.md, section 12).

A normal approximation: scores of published and withheld images of equal spread, their difference given by the chance
that a published one scores higher (AUC). The test itself approximates nothing.
"""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL = NormalDist()


def power_of_choice(blocks: int, size: int, auc: float, alpha: float) -> float:
    """Chance of p <= alpha where each of `blocks` has `size` alternatives, one of them at home.

    The contrast of a block has the mean sqrt(2) q(AUC) and the variance size / (size - 1), in spreads of a score.
    """
    strength = math.sqrt(2 * blocks * (size - 1) / size) * _NORMAL.inv_cdf(auc)
    return _NORMAL.cdf(strength + _NORMAL.inv_cdf(alpha))


def blocks_needed(size: int, auc: float, alpha: float, power: float) -> int:
    """The least number of blocks of `size` alternatives that gives this power, by the same approximation; AUC > 1/2."""
    wanted = _NORMAL.inv_cdf(power) - _NORMAL.inv_cdf(alpha)
    return max(1, math.ceil((wanted / _NORMAL.inv_cdf(auc)) ** 2 * size / (2 * (size - 1))))
