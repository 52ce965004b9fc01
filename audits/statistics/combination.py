"""One p-value from several independent secrets: Fisher's method (1925, section 21.1), exact for coarse p-values.

For the mark sets of one release, whose secrets are drawn independently; why that is right, and what coarse grids
change: docs/method.md, section 7. Not for tests that share a secret, such as the three levels of one audit: those go to
`audits.statistics.multiplicity`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from provenance.errors import TouchmarkError

Floats = NDArray[np.float64]

MOST_GRID_PRODUCTS = 2_000_000
ROUNDING = 1e-9  # relative; products that nearly tie count against the claimant


class CombinationError(TouchmarkError):
    """P-values that cannot be combined; the sentence tells a person why."""


@dataclass(frozen=True)
class Combination:
    """Outcome of combining k independent tests.

    p: combined p-value; fisher_p: what the chi-squared bound alone says; statistic: -2 sum(ln p); degrees: 2k;
    smallest_p: least combined p that these tests could give, or None where a grid is unknown.
    """

    p: float
    fisher_p: float
    statistic: float
    degrees: int
    smallest_p: float | None


def combine(p_values: Sequence[float], grids: Sequence[int | None] | None = None) -> Combination:
    """Combine p-values of tests with independent secrets, in any order.

    p_values: each in (0, 1]. grids[i]: n where p_values[i] is one of 1/n … n/n (assignments compared, or decoys + 1),
    None where unknown, as in a rank test that may stop early. Raises CombinationError for what is no p-value, or does
    not lie on its grid.
    """
    sizes = list(grids) if grids is not None else [None] * len(p_values)
    if not p_values or len(sizes) != len(p_values):
        raise CombinationError("Give at least one p-value, and for each its grid or none.")
    for p, grid in zip(p_values, sizes, strict=True):
        if not 0.0 < p <= 1.0:
            raise CombinationError(f"A p-value lies above 0 and at most at 1; this one is {p}.")
        if grid is not None and (grid < 1 or abs(p * grid - round(p * grid)) > 1e-6 or round(p * grid) < 1):
            raise CombinationError(f"The p-value {p} is not a multiple of 1/{grid}.")
    logarithm = math.fsum(math.log(p) for p in p_values)
    known = [grid for grid in sizes if grid is not None]
    smallest = _tail(-math.fsum(map(math.log, known)), sizes) if len(known) == len(sizes) else None
    return Combination(
        p=_tail(logarithm, sizes),
        fisher_p=float(_uniform_tail(np.array([logarithm]), len(p_values))[0]),
        statistic=-2 * logarithm,
        degrees=2 * len(p_values),
        smallest_p=smallest,
    )


def _tail(logarithm: float, sizes: Sequence[int | None]) -> float:
    """Chance that the product of independent null p-values is at most exp(logarithm).

    Coarse grids are enumerated as far as memory allows, coarsest first; the rest is taken as uniform, which can only
    make the chance larger.
    """
    grids: list[int] = []
    for size in sorted(size for size in sizes if size is not None):
        if math.prod(grids) * size <= MOST_GRID_PRODUCTS:
            grids.append(size)
    products, smooth = _grid_products(tuple(grids)), len(sizes) - len(grids)
    if smooth == 0:
        return int(np.searchsorted(products, logarithm + ROUNDING, side="right")) / len(products)
    return min(1.0, float(_uniform_tail(logarithm - products + ROUNDING, smooth).mean()))


@lru_cache(maxsize=8)
def _grid_products(grids: tuple[int, ...]) -> Floats:
    """Logarithms of all products of one value from every grid 1/n … n/n, ascending; calibration asks often."""
    products: Floats = np.zeros(1)
    for size in grids:
        products = np.add.outer(products, np.log(np.arange(1, size + 1) / size)).ravel()
    return np.sort(products)


def _uniform_tail(logarithms: Floats, count: int) -> Floats:
    """P(product of `count` >= 1 uniforms <= exp(l)) = exp(l) sum_{j < count} (-l)^j / j! for l < 0, else one."""
    below = np.minimum(logarithms, 0.0)
    term = np.ones_like(below)
    total = np.ones_like(below)
    for j in range(1, count):
        term = term * -below / j
        total = total + term
    # In logarithms, so that the smallest values do not vanish before they are multiplied.
    return np.exp(below + np.log(total))
