"""The permutation test where not every assignment was possible (method.md, section 4, step 4).

Groups may differ in size class, or a pattern may not mark some groups. The plan declares, before the key is drawn,
which assignments are possible; the key draws one of them uniformly; the test permutes within exactly the same set.
That is all its error rate rests on: an assignment drawn otherwise must not be tested here.

NumPy only. G patterns and groups; pulls are dimensionless.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from audits.permutation import (
    CHUNK_VALUES,
    HISTOGRAM_BINS,
    MOST_PERMUTATIONS,
    ROUNDING,
    TIE_TOLERANCE,
    PermutationError,
    PermutationResult,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MOST_ENUMERATED = 400_000  # assignments; a little over 9!
# Of random permutations within blocks, at least this share must respect what is forbidden.
LEAST_ACCEPTED = 1e-3
TRIAL_DRAWS = 20_000


@dataclass(frozen=True)
class Restriction:
    """The assignments that the plan allows: pattern j may mark group g if they share a block and allowed[j, g].

    pattern_block, group_block: (G,) block number of every pattern and group; each block has as many patterns as
    groups. allowed: (G, G) bool or None for all. Raises PermutationError where no assignment is possible at all.
    """

    pattern_block: tuple[int, ...]
    group_block: tuple[int, ...]
    allowed: Bools | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name in ("pattern_block", "group_block"):
            object.__setattr__(self, name, tuple(int(block) for block in getattr(self, name)))
        if len(self.group_block) < 2 or sorted(self.pattern_block) != sorted(self.group_block):
            raise PermutationError("Every block needs as many patterns as groups, and there must be two or more.")
        if self.allowed is not None and np.shape(self.allowed) != (self.groups, self.groups):
            raise PermutationError("Say for every pattern and every group whether it may be marked.")
        if not self._feasible():
            raise PermutationError("No assignment respects what is forbidden; allow more groups per pattern.")

    @classmethod
    def within(cls, group_block: Sequence[int], allowed: Bools | None = None) -> Restriction:
        """Patterns are interchangeable beforehand: pattern j belongs to the block of group j."""
        return cls(tuple(group_block), tuple(group_block), allowed)

    @property
    def groups(self) -> int:
        return len(self.group_block)

    @cached_property
    def cells(self) -> Bools:
        """(G, G): may pattern j mark group g?"""
        same = np.equal.outer(self.pattern_block, self.group_block)
        return same if self.allowed is None else same & np.asarray(self.allowed, dtype=bool)

    @cached_property
    def blocks(self) -> list[tuple[Ints, Ints]]:
        """(patterns, groups) of every block."""
        patterns, groups = np.array(self.pattern_block), np.array(self.group_block)
        return [(np.flatnonzero(patterns == b), np.flatnonzero(groups == b)) for b in np.unique(groups)]

    def within_blocks(self) -> int:
        """Assignments that respect the blocks, whatever else is forbidden."""
        return math.prod(math.factorial(len(groups)) for _, groups in self.blocks)

    def possible(self) -> int | None:
        """How many assignments the plan allows, or None where that is too many to count one by one."""
        if self.allowed is None:
            return self.within_blocks()
        orders = self._block_permutations
        return None if orders is None else math.prod(len(every) for every in orders)

    @cached_property
    def _block_permutations(self) -> list[Ints] | None:
        """Per block, the (n, size) group positions of all allowed orders; None where a block is too large."""
        found = []
        for patterns, groups in self.blocks:
            cells = self.cells[np.ix_(patterns, groups)]
            orders = list(itertools.islice(_orders(cells), MOST_ENUMERATED + 1))
            if len(orders) > MOST_ENUMERATED:
                return None
            found.append(np.array(orders, dtype=np.int64))
        return found

    def enumerated(self) -> list[Ints] | None:
        """Allowed orders per block where all assignments together are few enough to compare each, else None."""
        if self.within_blocks() > MOST_ENUMERATED and self.allowed is None:
            return None
        orders = self._block_permutations
        if orders is None or math.prod(len(every) for every in orders) > MOST_ENUMERATED:
            return None
        return orders

    def _feasible(self) -> bool:
        """Whether a perfect matching exists (Kuhn's augmenting paths)."""
        marked_by: dict[int, int] = {}

        def place(pattern: int, seen: set[int]) -> bool:
            for group in np.flatnonzero(self.cells[pattern]):
                if int(group) not in seen:
                    seen.add(int(group))
                    if int(group) not in marked_by or place(marked_by[int(group)], seen):
                        marked_by[int(group)] = pattern
                        return True
            return False

        return all(place(pattern, set()) for pattern in range(self.groups))

    def draw(self, count: int, rng: np.random.Generator) -> Ints:
        """`count` independent uniform assignments, (count, G).

        Within blocks by sorting raw 64-bit words, a stream that NumPy fixes for good; what is forbidden is left out
        by drawing again, which keeps the rest uniform. Raises PermutationError where that would hardly ever succeed.
        """
        if self.allowed is None:
            return self._within_blocks(count, rng)
        rows, found, kept, tried, batch = np.arange(self.groups), list[Ints](), 0, 0, count
        while kept < count:
            drawn = self._within_blocks(batch, rng)
            found.append(drawn[self.cells[rows, drawn].all(axis=1)])
            kept, tried = kept + len(found[-1]), tried + batch
            if tried >= TRIAL_DRAWS and kept < LEAST_ACCEPTED * tried:
                raise PermutationError("Too much is forbidden to draw assignments at random; use smaller blocks.")
            batch = min(2 * batch, TRIAL_DRAWS)
        return np.concatenate(found)[:count]

    def _within_blocks(self, count: int, rng: np.random.Generator) -> Ints:
        drawn = np.empty((count, self.groups), dtype=np.int64)
        for patterns, groups in self.blocks:
            words = rng.bit_generator.random_raw(count * len(groups)).reshape(count, len(groups))
            drawn[:, patterns] = groups[np.argsort(words, axis=1, kind="stable")]
        return drawn


def _orders(cells: Bools) -> Iterator[tuple[int, ...]]:
    """All ways to give every row of (n, n) its own allowed column, by backtracking."""
    size = len(cells)
    choices = [np.flatnonzero(row).tolist() for row in cells]

    def extend(order: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if len(order) == size:
            yield order
            return
        for column in choices[len(order)]:
            if column not in order:
                yield from extend((*order, column))

    return extend(())


def blocks_by_size(counts: Sequence[int], factor: float = 2.0) -> tuple[int, ...]:
    """Block number of every group so that marked images within a block differ by at most `factor`: (G,).

    From the smallest group up, a new block begins where a group has more than `factor` times the images of the first
    group in its block.
    """
    if factor < 1 or not counts or min(counts) < 0:
        raise PermutationError("Sizes of groups are counts, and the factor between them is at least 1.")
    blocks, block, smallest = [0] * len(counts), -1, -1.0
    for group in sorted(range(len(counts)), key=lambda g: counts[g]):
        if block < 0 or counts[group] > factor * smallest:
            block, smallest = block + 1, float(counts[group])
        blocks[group] = block
    return tuple(blocks)


def restricted_residual(pulls: Floats, restriction: Restriction, references: Sequence[Floats] = ()) -> Floats:
    """Pulls (G, G) without effects of a pattern, of a group and of the references; zero in cells nobody may use.

    Least squares over the cells that some allowed assignment could use, with one column per pattern, per group and
    per reference. Row and column effects never change the test; taking them out first keeps its numbers small.
    """
    cells = restriction.cells
    matrices = [_matrix(matrix, restriction.groups) for matrix in (pulls, *references)]
    rows, columns = np.nonzero(cells)
    effects = np.zeros((len(rows), 2 * restriction.groups))
    effects[np.arange(len(rows)), rows] = 1.0
    effects[np.arange(len(rows)), restriction.groups + columns] = 1.0
    values = np.column_stack([matrix[cells] for matrix in matrices])
    left = values - effects @ np.linalg.lstsq(effects, values, rcond=None)[0]
    left[:, np.abs(left).max(axis=0) <= ROUNDING * len(rows) * np.abs(values).max(axis=0)] = 0.0
    residual, design = left[:, 0], left[:, 1:]
    design = design[:, design.any(axis=0)]
    if design.shape[1]:
        free = len(rows) - np.linalg.matrix_rank(effects)
        if design.shape[1] >= free:
            raise PermutationError(f"{design.shape[1]} references leave nothing to test: use fewer than {free}.")
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
    """`audits.permutation.permutation_test` among the assignments that the plan allows.

    Same arguments and result; smallest_p is one over the number of allowed assignments where all are compared.
    Raises PermutationError, also where the assignment itself is not an allowed one.
    """
    matrix = restricted_residual(pulls, restriction, references)
    true = np.asarray(assignment)
    groups = restriction.groups
    if true.shape != (groups,) or not np.array_equal(np.sort(true), np.arange(groups)):
        raise PermutationError(f"The assignment must name each of the {groups} groups exactly once.")
    if not restriction.cells[np.arange(groups), true].all():
        raise PermutationError("The assignment is not one that the plan allows.")
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
