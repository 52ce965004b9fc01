"""Which assignments of patterns to groups a release allows (docs/method.md, section 4.4).

Size classes and bans stand in the mark settings; the key draws one of the possible assignments uniformly, and the test
permutes within exactly the same set. NumPy only. G patterns and groups.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from provenance.errors import TouchmarkError

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MOST_ENUMERATED = 400_000  # assignments; a little over 9!
# Of random permutations within blocks, at least this share must respect what is forbidden.
LEAST_ACCEPTED = 1e-3
TRIAL_DRAWS = 20_000
MOST_COUNTED = 14  # rows of a block whose orders are counted by sets of columns: 2^14 of them at most


class RestrictionError(TouchmarkError):
    """A restriction that leaves no assignment, or that cannot be drawn from; the sentence says what to change."""


@dataclass(frozen=True)
class Restriction:
    """The assignments that the mark settings allow: pattern j may mark group g if they share a block and allowed[j, g].

    pattern_block, group_block: (G,) block number of every pattern and group; each block has as many patterns as
    groups. allowed: (G, G) bool or None for all. Raises RestrictionError where no assignment is possible at all.
    """

    pattern_block: tuple[int, ...]
    group_block: tuple[int, ...]
    allowed: Bools | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name in ("pattern_block", "group_block"):
            object.__setattr__(self, name, tuple(int(block) for block in getattr(self, name)))
        if len(self.group_block) < 2 or sorted(self.pattern_block) != sorted(self.group_block):
            raise RestrictionError("Every block needs as many patterns as groups, and there must be two or more.")
        if self.allowed is not None and np.shape(self.allowed) != (self.groups, self.groups):
            raise RestrictionError("Say for every pattern and every group whether it may be marked.")
        if not self._feasible():
            raise RestrictionError("No assignment respects what is forbidden; allow more groups per pattern.")

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
        """How many assignments the mark settings allow, or None where that is too many to count one by one."""
        if self.allowed is None:
            return self.within_blocks()
        counts = [_count_orders(self.cells[np.ix_(patterns, groups)]) for patterns, groups in self.blocks]
        return None if max(counts) > MOST_ENUMERATED else math.prod(counts)

    @cached_property
    def _block_permutations(self) -> list[Ints]:
        """Per block, the (n, size) group positions of all allowed orders; ask only where they are few."""
        return [np.array(list(_orders(self.cells[np.ix_(p, g)])), dtype=np.int64) for p, g in self.blocks]

    def enumerated(self) -> list[Ints] | None:
        """Allowed orders per block where all assignments together are few enough to compare each, else None."""
        possible = self.possible()  # counting is quick; listing 400,000 orders in vain takes seconds
        return None if possible is None or possible > MOST_ENUMERATED else self._block_permutations

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
        by drawing again, which keeps the rest uniform. Raises RestrictionError where that would hardly ever succeed.
        """
        if self.allowed is None:
            return self._within_blocks(count, rng)
        rows, found, kept, tried, batch = np.arange(self.groups), list[Ints](), 0, 0, count
        while kept < count:
            drawn = self._within_blocks(batch, rng)
            found.append(drawn[self.cells[rows, drawn].all(axis=1)])
            kept, tried = kept + len(found[-1]), tried + batch
            if tried >= TRIAL_DRAWS and kept < LEAST_ACCEPTED * tried:
                raise RestrictionError("Too much is forbidden to draw assignments at random; use smaller blocks.")
            batch = min(2 * batch, TRIAL_DRAWS)
        return np.concatenate(found)[:count]

    def _within_blocks(self, count: int, rng: np.random.Generator) -> Ints:
        drawn = np.empty((count, self.groups), dtype=np.int64)
        for patterns, groups in self.blocks:
            words = rng.bit_generator.random_raw(count * len(groups)).reshape(count, len(groups))
            drawn[:, patterns] = groups.take(np.argsort(words, axis=1, kind="stable"))
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


def _count_orders(cells: Bools) -> int:
    """How many orders `_orders` has, mostly without going through them; any number above MOST_ENUMERATED if more.

    Where t columns or more are open to every row and there is an order at all, there are t! at least (M. Hall,
    Distinct representatives of subsets, 1948); 10! is above MOST_ENUMERATED.
    """
    if cells.sum(axis=1).min() >= 10:
        return math.factorial(10)
    if len(cells) > MOST_COUNTED:
        return sum(1 for _ in itertools.islice(_orders(cells), MOST_ENUMERATED + 1))
    ways = {0: 1}  # sets of columns that the rows so far can take, as bits: in how many ways
    for row in cells:
        found: dict[int, int] = {}
        for taken, count in ways.items():
            for column in np.flatnonzero(row).tolist():
                if not taken >> column & 1:
                    more = taken | 1 << column
                    found[more] = found.get(more, 0) + count
        ways = found
    return sum(ways.values())


def blocks_by_size(counts: Sequence[int], factor: float = 2.0) -> tuple[int, ...]:
    """Block number of every group so that marked images within a block differ by at most `factor`: (G,).

    From the smallest group up, a new block begins where a group has more than `factor` times the images of the first
    group in its block.
    """
    if not 1 <= factor < math.inf or not counts or min(counts) < 0:
        raise RestrictionError("Sizes of groups are counts, and the factor between them is at least 1.")
    blocks, block, smallest = [0] * len(counts), -1, -1.0
    for group in sorted(range(len(counts)), key=lambda g: counts[g]):
        if block < 0 or counts[group] > factor * smallest:
            block, smallest = block + 1, float(counts[group])
        blocks[group] = block
    return tuple(blocks)
