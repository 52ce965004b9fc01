"""The area under the ROC curve with an interval that holds for few files and for perfect separation."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
_STEPS = 60  # of bisection; far below the last digit that anybody reads


@dataclass(frozen=True)
class Area:
    """The chance that a marked file scores above an unmarked one, ties counting half, with both 95 % limits."""

    auc: float
    low: float
    high: float


def area(scores: np.ndarray, marked: np.ndarray) -> Area:
    """Of (n,) scores and (n,) bool labels, some of either kind.

    The interval is Newcombe's method 5 (Statistics in Medicine 25, 2006): all areas from which the one found lies at
    most 1.96 standard errors away, the error being Hanley and McNeil's at that area, not at the one found. It neither
    collapses at 0 or 1 nor leaves [0, 1].
    """
    from scipy.stats import norm  # pages and commands load this module, and SciPy takes longer than they do

    found = _auc(scores, marked)
    many, others = int(marked.sum()), int((~marked).sum())
    z = float(norm.ppf((1 + LEVEL) / 2))

    def inside(value: float) -> bool:
        return abs(found - value) <= z * math.sqrt(_variance(value, many, others))

    return Area(found, _edge(inside, found, 0.0), _edge(inside, found, 1.0))


def _auc(scores: np.ndarray, marked: np.ndarray) -> float:
    """By the rank sum of Mann and Whitney."""
    from scipy.stats import rankdata

    ranks = rankdata(scores)
    many, others = int(marked.sum()), int((~marked).sum())
    return float((ranks[marked].sum() - many * (many + 1) / 2) / (many * others))


def _variance(auc: float, many: int, others: int) -> float:
    """Hanley and McNeil (Radiology 143, 1982) with both sample sizes replaced by their mean, as method 5 has it."""
    beyond = (many + others) / 2 - 1
    spread = 1 + beyond * ((1 - auc) / (2 - auc) + auc / (1 + auc))
    return auc * (1 - auc) * spread / (many * others)


def _edge(inside: Callable[[float], bool], within: float, outside: float) -> float:
    for _ in range(_STEPS):
        middle = (within + outside) / 2
        within, outside = (middle, outside) if inside(middle) else (within, middle)
    return within
