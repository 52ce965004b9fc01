"""How far a rate can be told from a count."""

from __future__ import annotations

import scipy  # its parts load when they are first used: no command and no page should wait for them


def clopper_pearson(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Exact two-sided interval for a binomial proportion (Clopper and Pearson 1934); raises ValueError."""
    if not 0 <= successes <= trials or trials < 1 or not 0 < confidence < 1:
        raise ValueError(f"{successes} of {trials} at a confidence of {confidence} is no count.")
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(scipy.stats.beta.ppf(tail, successes, trials - successes + 1))
    high = 1.0 if successes == trials else float(scipy.stats.beta.isf(tail, successes + 1, trials - successes))
    return low, high
