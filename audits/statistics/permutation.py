"""Exact test of the secret assignment by permutation (docs/method.md, section 4; why it is exact: section 4.5).

Pitman 1937; Phipson and Smyth 2010 for "+ 1". NumPy only. G is the number of patterns and of groups; pulls are
dimensionless.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from provenance.errors import TouchmarkError

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

ENUMERATED_UP_TO = 9  # 9! = 362,880 assignments take a fraction of a second
MOST_PERMUTATIONS = 100_000_000
HISTOGRAM_BINS = 61  # odd, so that zero lies inside the middle bin
CHUNK_VALUES = 100_000  # values held at once: memory stays flat, and a processor's cache holds them
# Sums of the same pulls in another order differ by rounding; such near-ties count against the claimant.
TIE_TOLERANCE = 1e-10
ROUNDING = 1e-13  # of pulls as large as these, left by centring


class PermutationError(TouchmarkError):
    """Input to which the permutation test cannot be applied; the sentence tells a person what to change."""


@dataclass(frozen=True)
class PermutationResult:
    """Outcome of one permutation test (docs/method.md, section 4.3)."""

    statistic: float  # s of the true assignment
    z: float  # s over the deviation of s under the null
    p: float  # upper tail: the marks pull to their own groups
    p_lower: float
    exceedances: int  # assignments with s at least the true one: sampled ones, or all G! with the true one among them
    below: int  # with s at most the true one
    permutations: int  # how many were compared
    exact: bool  # all G! were
    smallest_p: float  # least p this test could give
    edges: Floats  # (B + 1,) of the histogram of s under the null; its outer bins hold whatever lies beyond
    counts: NDArray[np.int64]  # (B,)


def smallest_reachable_p(groups: int, permutations: int) -> float:
    """Least p that a test with this many groups and random permutations can give: 1/G! where all are enumerated."""
    if groups <= ENUMERATED_UP_TO:
        return 1.0 / math.factorial(groups)
    return max(1.0 / (permutations + 1), 1.0 / math.factorial(groups))


def philox_from(digest: str, purpose: str) -> np.random.Generator:
    """The generator that a digest, or one and a run's nonce, fix for one purpose: anybody can repeat the draw."""
    seed = hashlib.sha256(f"touchmark/permutation/{purpose}\0{digest}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(seed[:16], "little")))


def double_centred(pulls: Floats) -> Floats:
    """Take row and column means out of a (G, G) matrix: what is left is the interaction of pattern and group."""
    matrix = _square(pulls)
    centred: Floats = matrix - matrix.mean(axis=1, keepdims=True) - matrix.mean(axis=0, keepdims=True) + matrix.mean()
    return centred


def reference_residual(pulls: Floats, references: list[Floats]) -> Floats:
    """What the marks do to this model beyond what they do to any model: (G, G) -> (G, G), double-centred.

    Least-squares regression of the double-centred pulls on the references' double-centred pulls; the residual
    stays. It uses nothing secret, so the test stays exact.
    """
    centred = double_centred(pulls)
    if not references:
        return centred
    free = (len(centred) - 1) ** 2
    if len(references) >= free:
        raise PermutationError(f"{len(references)} references leave nothing to test: use fewer than {free}.")
    columns = []
    for reference in references:
        if reference.shape != centred.shape:
            raise PermutationError("A reference was measured with another number of patterns or groups.")
        columns.append(double_centred(reference).ravel())
    design = np.column_stack(columns)
    scale = np.linalg.norm(design, axis=0)
    design = design[:, scale > 0] / scale[scale > 0]
    if design.shape[1] == 0:
        return centred
    coefficients = np.linalg.lstsq(design, centred.ravel(), rcond=None)[0]
    return double_centred(centred - (design @ coefficients).reshape(centred.shape))


def permutation_test(
    pulls: Floats,
    assignment: Ints,
    permutations: int,
    rng: np.random.Generator,
    references: list[Floats] | None = None,
    drawn: Iterable[Ints] | None = None,
) -> PermutationResult:
    """Test whether patterns pull to the groups that the secret assignment gives them (docs/method.md, section 4.3).

    pulls (G, G) float: A[j, g]. assignment (G,): pattern j marks group assignment[j]. permutations: random ones, where
    G > 9; drawn: those that rng gives, where they were drawn before. references: pulls (G, G) of models that never saw
    it. Raises PermutationError for matrices that are not square and finite, or what is no permutation.
    """
    centred = double_centred(pulls)
    matrix = reference_residual(pulls, references or [])
    groups = len(matrix)
    true = _checked_assignment(assignment, groups)
    exact = groups <= ENUMERATED_UP_TO
    if not exact and not 1 <= permutations <= MOST_PERMUTATIONS:
        raise PermutationError(f"Choose between 1 and {MOST_PERMUTATIONS:,} permutations.")
    total = math.factorial(groups) if exact else permutations
    statistic = float(matrix[np.arange(groups), true].sum())
    # Relative to the pulls before the regression: a suspect that is itself a reference leaves rounding noise only.
    tolerance = max(TIE_TOLERANCE * float(np.abs(centred).sum()), ROUNDING * float(np.abs(pulls).sum()))
    # Variance of a sum over a random permutation of a double-centred matrix (Hoeffding 1951).
    deviation = math.sqrt(float((matrix**2).sum()) / (groups - 1))
    edges = _edges(deviation, statistic)
    counts = np.zeros(HISTOGRAM_BINS, dtype=np.int64)
    exceedances = below = 0
    compared = _all_permutations(groups) if exact else drawn or random_permutations(groups, total, rng)
    for orders in compared:
        values = _statistics(matrix, orders)
        exceedances += int(np.count_nonzero(values >= statistic - tolerance))
        below += int(np.count_nonzero(values <= statistic + tolerance))
        counts += _binned(values, edges)
    extra = 0 if exact else 1
    return PermutationResult(
        statistic=statistic,
        z=statistic / deviation if deviation > tolerance else 0.0,
        p=(extra + exceedances) / (total + extra),
        p_lower=(extra + below) / (total + extra),
        exceedances=exceedances,
        below=below,
        permutations=total,
        exact=exact,
        smallest_p=smallest_reachable_p(groups, permutations),
        edges=edges,
        counts=counts,
    )


def _square(pulls: Floats) -> Floats:
    matrix = np.asarray(pulls, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] < 2:
        raise PermutationError(f"Pulls must be a square matrix of two groups or more; this one is {matrix.shape}.")
    if not np.isfinite(matrix).all():
        raise PermutationError("The pull matrix holds values that are no finite numbers.")
    return matrix


def _checked_assignment(assignment: Ints, groups: int) -> NDArray[np.int64]:
    true = np.asarray(assignment)
    if true.shape != (groups,) or not np.array_equal(np.sort(true), np.arange(groups)):
        raise PermutationError(f"The assignment must name each of the {groups} groups exactly once.")
    return true.astype(np.int64)


def _edges(deviation: float, statistic: float) -> Floats:
    reach = max(5.0 * deviation, 1.1 * abs(statistic)) or 1.0
    return np.linspace(-reach, reach, HISTOGRAM_BINS + 1)


def _binned(values: Floats, edges: Floats) -> NDArray[np.int64]:
    width = edges[1] - edges[0]
    bins = np.clip(((values - edges[0]) / width).astype(np.int64), 0, HISTOGRAM_BINS - 1)
    return np.bincount(bins, minlength=HISTOGRAM_BINS)


def _statistics(matrix: Floats, drawn: Ints) -> Floats:
    values: Floats = np.zeros(len(drawn))
    for pattern, row in enumerate(matrix):
        values += row[drawn[:, pattern]]
    return values


def _all_permutations(groups: int) -> Iterator[NDArray[np.int8]]:
    every = itertools.permutations(range(groups))
    rows = CHUNK_VALUES // groups
    while chunk := list(itertools.islice(every, rows)):
        yield np.array(chunk, dtype=np.int8)


def random_permutations(groups: int, total: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Orders of raw 64-bit words: NumPy fixes that stream for good, unlike what `Generator` makes of it."""
    rows = max(1, CHUNK_VALUES // groups)
    for start in range(0, total, rows):
        count = min(rows, total - start)
        yield orders_of(rng.bit_generator.random_raw(count * groups).reshape(count, groups))


def orders_of(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(rows, G) uint64: what a stable argsort says of every row, at a third of its cost.

    Numbers sort faster than places do, so the place stands in a word's lowest bits. Where words of a row differ in
    those bits alone, which random ones hardly ever do, they are sorted as they are.
    """
    place = np.uint64((1 << (words.shape[1] - 1).bit_length()) - 1)
    packed = words & ~place
    packed |= np.arange(words.shape[1], dtype=np.uint64)
    packed.sort(axis=1)
    if ((packed[:, 1:] ^ packed[:, :-1]) <= place).any():
        return np.argsort(words, axis=1, kind="stable")
    packed &= place
    return packed.view(np.int64)
