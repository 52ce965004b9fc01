"""The permutation test where not every assignment was possible (docs/method.md, section 4.4).

It permutes within exactly the assignments among which the key drew (`provenance.marks.restriction`); an assignment
drawn otherwise must not be tested here. NumPy only. G patterns and groups; pulls are dimensionless.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from audits.statistics.permutation import (
    HISTOGRAM_BINS,
    MOST_PERMUTATIONS,
    ROUNDING,
    TIE_TOLERANCE,
    PermutationError,
    PermutationResult,
)
from provenance.marks.restriction import Restriction

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CHUNK_VALUES = 1_000_000  # values drawn and added up at once; another number would give other draws


def most_references(restriction: Restriction) -> int:
    """How many references leave something to test: fewer than the pulls vary in, beside patterns and groups."""
    effects = _effects(restriction)
    return max(0, len(effects) - int(np.linalg.matrix_rank(effects)) - 1)


def _effects(restriction: Restriction) -> Floats:
    """One row per cell that an allowed assignment could use, one column per pattern and per group."""
    rows, columns = np.nonzero(restriction.cells)
    effects = np.zeros((len(rows), 2 * restriction.groups))
    effects[np.arange(len(rows)), rows] = 1.0
    effects[np.arange(len(rows)), restriction.groups + columns] = 1.0
    return effects


def restricted_residual(pulls: Floats, restriction: Restriction, references: Sequence[Floats] = ()) -> Floats:
    """Pulls (G, G) without effects of a pattern, of a group and of the references; zero in cells nobody may use.

    Least squares over the cells that some allowed assignment could use, with one column per pattern, per group and
    per reference. Row and column effects never change the test; taking them out first keeps its numbers small.
    """
    cells = restriction.cells
    matrices = [_matrix(matrix, restriction.groups) for matrix in (pulls, *references)]
    effects = _effects(restriction)
    values = np.column_stack([matrix[cells] for matrix in matrices])
    left = values - effects @ np.linalg.lstsq(effects, values, rcond=None)[0]
    left[:, np.abs(left).max(axis=0) <= ROUNDING * len(effects) * np.abs(values).max(axis=0)] = 0.0
    residual, design = left[:, 0], left[:, 1:]
    design = design[:, design.any(axis=0)]
    if design.shape[1]:
        most = most_references(restriction)
        if design.shape[1] > most:
            raise PermutationError(f"{design.shape[1]} references leave nothing to test: use at most {most}.")
        design = design / np.linalg.norm(design, axis=0)
        residual = residual - design @ np.linalg.lstsq(design, residual, rcond=None)[0]
    matrix = np.zeros(cells.shape)
    matrix[cells] = residual
    return matrix


def restricted_test(
    pulls: Floats,
    assignment: NDArray[np.integer],
    restriction: Restriction,
    permutations: int,
    rng: np.random.Generator,
    references: Sequence[Floats] = (),
) -> PermutationResult:
    """`audits.statistics.permutation.permutation_test` among the assignments that the mark settings allow.

    Same arguments and result; smallest_p is one over the number of allowed assignments where all are compared.
    Raises PermutationError, also where the assignment itself is not an allowed one.
    """
    matrix = restricted_residual(pulls, restriction, references)
    true = np.asarray(assignment)
    groups = restriction.groups
    if true.shape != (groups,) or not np.array_equal(np.sort(true), np.arange(groups)):
        raise PermutationError(f"The assignment must name each of the {groups} groups exactly once.")
    if not restriction.cells[np.arange(groups), true].all():
        raise PermutationError("The assignment is not one that the mark settings allow.")
    orders = restriction.enumerated()
    if orders is None and not 1 <= permutations <= MOST_PERMUTATIONS:
        raise PermutationError(f"Choose between 1 and {MOST_PERMUTATIONS:,} permutations.")
    statistic = float(matrix[np.arange(groups), true].sum())
    # Relative to the pulls before the regression: a suspect that is itself a reference leaves rounding noise only.
    centred = restricted_residual(pulls, restriction) if references else matrix
    scale = float(np.abs(np.asarray(pulls)[restriction.cells]).sum())
    tolerance = max(TIE_TOLERANCE * float(np.abs(centred).sum()), ROUNDING * groups * scale)
    draws = (
        _compared_all(matrix, restriction, orders)
        if orders is not None
        else _compared_random(matrix, restriction, permutations, rng)
    )
    return _counted(draws, statistic, tolerance, matrix, restriction, orders is not None)


def _counted(
    draws: Iterator[Floats], statistic: float, tolerance: float, matrix: Floats, restriction: Restriction, exact: bool
) -> PermutationResult:
    # Hoeffding's variance within blocks, as if nothing else were forbidden: only the histogram's reach rests on it.
    reach = math.sqrt(sum(_block_variance(matrix[np.ix_(p, g)]) for p, g in restriction.blocks))
    reach = max(5.0 * reach, 1.1 * abs(statistic)) or 1.0
    edges = np.linspace(-reach, reach, HISTOGRAM_BINS + 1)
    counts = np.zeros(HISTOGRAM_BINS, dtype=np.int64)
    total = exceedances = below = 0
    first = second = 0.0
    for values in draws:
        total += len(values)
        exceedances += int(np.count_nonzero(values >= statistic - tolerance))
        below += int(np.count_nonzero(values <= statistic + tolerance))
        bins = np.clip(((values - edges[0]) / (edges[1] - edges[0])).astype(np.int64), 0, HISTOGRAM_BINS - 1)
        counts += np.bincount(bins, minlength=HISTOGRAM_BINS)
        first, second = first + float(values.sum()), second + float((values**2).sum())
    mean = first / total
    deviation = math.sqrt(max(second / total - mean**2, 0.0))
    extra = 0 if exact else 1
    return PermutationResult(
        statistic=statistic,
        z=(statistic - mean) / deviation if deviation > tolerance else 0.0,
        p=(extra + exceedances) / (total + extra),
        p_lower=(extra + below) / (total + extra),
        exceedances=exceedances,
        below=below,
        permutations=total,
        exact=exact,
        smallest_p=1 / total if exact else max(1 / (total + 1), 1 / (restriction.possible() or math.inf)),
        edges=edges,
        counts=counts,
    )


def _compared_all(matrix: Floats, restriction: Restriction, orders: list[Ints]) -> Iterator[Floats]:
    """Sums over blocks of every combination of the blocks' own orders."""
    sums: Floats = np.zeros(1)
    for (patterns, groups), order in zip(restriction.blocks, orders, strict=True):
        own = matrix[np.ix_(patterns, groups)][np.arange(len(patterns)), order].sum(axis=1)
        sums = np.add.outer(sums, own).ravel()
    yield sums


def _compared_random(
    matrix: Floats, restriction: Restriction, total: int, rng: np.random.Generator
) -> Iterator[Floats]:
    chunk = max(1, CHUNK_VALUES // restriction.groups)
    rows = np.arange(restriction.groups)
    for start in range(0, total, chunk):
        yield matrix[rows, restriction.draw(min(chunk, total - start), rng)].sum(axis=1)


def _block_variance(block: Floats) -> float:
    return float((block**2).sum()) / (len(block) - 1) if len(block) > 1 else 0.0


def _matrix(pulls: Floats, groups: int) -> Floats:
    matrix = np.asarray(pulls, dtype=np.float64)
    if matrix.shape != (groups, groups) or not np.isfinite(matrix).all():
        raise PermutationError(f"Pulls must be a finite square matrix of {groups} groups; this one is {matrix.shape}.")
    return matrix
