"""Exact test of keyed choices: which alternative of every block stayed home.

In every block of b >= 2 alternatives the key picked one, uniformly and independently. n is the number of alternatives
of all blocks together, B the number of blocks; scores are of any unit, larger where a model knows an image better.
NumPy only.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from provenance.errors import TouchmarkError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Law = tuple[Floats, int]  # chances, and the sum that the first of them belongs to

MOST_BLOCKS = 200_000
FEWEST_STEPS, MOST_STEPS = 48, 1 << 16  # of the grid, in one deviation of a block's contribution
LAW_VALUES = 1 << 17  # of the grid that few blocks may use
REACH = 20.0  # deviations of the statistic that the law goes to; what lies beyond counts against the claimant
CHUNK_VALUES = 2_000_000  # values held at once
ROUNDING = 1e-9  # in deviations; near-ties count against the claimant


class ChoiceError(TouchmarkError):
    """Scores or choices to which the test cannot be applied; the sentence tells a person what to change."""


@dataclass(frozen=True)
class Blocks:
    """Which alternatives make a block, and which of them stayed home.

    block_of (n,): from 0, ascending, each number at least twice. home (B,): position in the n alternatives, one of each
    block.
    """

    block_of: Ints
    home: Ints

    def __post_init__(self) -> None:
        numbers = self.block_of
        if numbers.ndim != 1 or not len(numbers) or numbers[0] != 0 or not np.isin(np.diff(numbers), (0, 1)).all():
            raise ChoiceError("Blocks must be numbered from 0, the alternatives of each behind one another.")
        if self.sizes.min() < 2:
            raise ChoiceError(f"Block {int(np.argmin(self.sizes))} has one alternative: nothing can be chosen there.")
        if len(self) > MOST_BLOCKS:
            raise ChoiceError(f"A test takes at most {MOST_BLOCKS:,} blocks; these are {len(self):,}.")
        inside = ((self.home >= 0) & (self.home < len(numbers))).all()
        if (
            self.home.shape != (len(self),)
            or not inside
            or not np.array_equal(numbers[self.home], np.arange(len(self)))
        ):
            raise ChoiceError("One alternative of each block stays home: name one for every block, in their order.")

    def __len__(self) -> int:
        return int(self.block_of[-1]) + 1

    @property
    def sizes(self) -> Ints:
        """(B,)"""
        return np.bincount(self.block_of)

    @property
    def starts(self) -> Ints:
        """(B,) where each block begins."""
        sizes = self.sizes
        return np.cumsum(sizes) - sizes

    def first(self, blocks: int) -> Blocks:
        """The first ones alone, for a look before all were asked about."""
        if not 1 <= blocks <= len(self):
            raise ChoiceError(f"A look takes 1 to {len(self)} blocks, not {blocks}.")
        return Blocks(self.block_of[self.block_of < blocks], self.home[:blocks])


LawOf = Callable[[Ints, Blocks], Law]


@dataclass(frozen=True)
class ChoiceResult:
    """Outcome of one test."""

    statistic: float  # sum over blocks of weight times (mean score of the published - score of the one at home)
    z: float  # over its deviation under the null
    p: float  # upper tail: the model knows the published ones better
    p_lower: float
    smallest_p: float  # least p that these scores could give
    blocks: int
    at_home: float  # mean score
    published: float


def contributions(scores: Floats, blocks: Blocks, weights: Floats | None = None) -> Floats:
    """(n,) what each alternative adds to the statistic if it is the one at home; zero in the mean of every block.

    scores (n,). weights (B,): from public values alone; ones where left out. Raises ChoiceError.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != blocks.block_of.shape or not np.isfinite(values).all():
        raise ChoiceError(f"{len(blocks.block_of)} alternatives need a finite score each.")
    factor = np.ones(len(blocks)) if weights is None else np.asarray(weights, dtype=np.float64)
    if factor.shape != (len(blocks),) or not np.isfinite(factor).all() or (factor < 0).any():
        raise ChoiceError(f"{len(blocks)} blocks need a weight each, none of them negative.")
    sizes = blocks.sizes
    means = np.add.reduceat(values, blocks.starts) / sizes
    # The mean of the others minus one's own score.
    away: Floats = (means[blocks.block_of] - values) * (sizes / (sizes - 1) * factor)[blocks.block_of]
    return away


def choice_test(
    scores: Floats, blocks: Blocks, weights: Floats | None = None, law_of: LawOf | None = None
) -> ChoiceResult:
    """Test whether a model knows the published alternatives better than those at home.

    Contributions are rounded to whole steps of a grid by a rule that does not see the choice, so the law of their sum
    is exact, whatever the grid; ties count against the claimant. law_of: `law_of_sum`, or one that keeps what it found.
    Raises ChoiceError.
    """
    own = contributions(scores, blocks, weights)
    deviation = math.sqrt(float((np.add.reduceat(own**2, blocks.starts) / blocks.sizes).sum()))
    statistic, at_home = float(own[blocks.home].sum()), np.zeros(len(own), dtype=bool)
    at_home[blocks.home] = True
    steps = _steps(own, blocks, deviation)
    law, lowest = (law_of or law_of_sum)(steps, blocks)
    true = int(steps[blocks.home].sum()) - lowest
    return ChoiceResult(
        statistic=statistic,
        z=statistic / deviation if deviation else 0.0,
        p=min(1.0, float(law[max(min(true, len(law) - 1), 0) :].sum())),
        p_lower=min(1.0, float(law[: min(max(true, 0), len(law) - 1) + 1].sum())),
        smallest_p=_smallest(steps, blocks),
        blocks=len(blocks),
        at_home=float(np.mean(scores[at_home])),
        published=float(np.mean(scores[~at_home])),
    )


def _steps(own: Floats, blocks: Blocks, deviation: float) -> Ints:
    """(n,) contributions in whole steps of the grid: fine for few blocks, for many as fine as is needed."""
    if deviation == 0:
        return np.zeros(len(own), dtype=np.int64)
    root = math.sqrt(len(blocks))
    fineness = min(max(LAW_VALUES / (2 * REACH * root), FEWEST_STEPS), MOST_STEPS)
    return np.rint(own * (fineness * root / deviation)).astype(np.int64)


def law_of_sum(steps: Ints, blocks: Blocks) -> Law:
    """The law of the sum of one uniform pick of every block, as (chances, the sum that the first one belongs to).

    steps (n,) whole numbers. Added up block by block, so no chance is a difference of larger ones and the smallest are
    as precise as the largest. Sums beyond `REACH` deviations are kept at the ends.
    """
    starts, sizes = blocks.starts, blocks.sizes
    least, most = np.minimum.reduceat(steps, starts), np.maximum.reduceat(steps, starts)
    means = np.add.reduceat(steps, starts) / sizes
    variance = np.add.reduceat(steps.astype(np.float64) ** 2, starts) / sizes - means**2
    reach = math.ceil(REACH * math.sqrt(float(variance.sum()))) + 1
    centre = np.cumsum(means)
    room = 2 * reach + 2 * int((most - least).max()) + 3
    law, lowest, buffers = np.ones(1), 0, (np.empty(room), np.empty(room))  # new memory for every block costs most
    for number, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        wide = buffers[number % 2][: len(law) + int(most[number] - least[number])]
        first, *others = steps[start : start + size] - least[number]
        wide[:first], wide[first : first + len(law)], wide[first + len(law) :] = 0, law, 0
        for step in others:
            wide[step : step + len(law)] += law
        wide /= size
        law, lowest = _within(wide, lowest + int(least[number]), int(centre[number]), reach)
    return law, lowest


@dataclass(frozen=True)
class KeptLaws:
    """`law_of_sum` that computes the law of the same steps once: it is one law, whichever alternatives stayed home."""

    _found: dict[bytes, Law] = field(default_factory=dict, repr=False)

    def __call__(self, steps: Ints, blocks: Blocks) -> Law:
        """As `law_of_sum`; the chances are shared and not to be written to."""
        name = hashlib.sha256(steps.tobytes() + blocks.block_of.tobytes()).digest()
        if name not in self._found:
            law, lowest = law_of_sum(steps, blocks)
            self._found[name] = law.copy(), lowest  # alone, without the buffers that it was made in
        return self._found[name]


def _within(law: Floats, lowest: int, centre: int, reach: int) -> tuple[Floats, int]:
    """What lies further than `reach` from the centre goes to the ends, where it makes every p larger."""
    below, above = max(centre - reach - lowest, 0), max(lowest + len(law) - 1 - centre - reach, 0)
    kept = law[below : len(law) - above]
    kept[0] += law[:below].sum()
    kept[-1] += law[len(law) - above :].sum()
    return kept, lowest + below


def _smallest(steps: Ints, blocks: Blocks) -> float:
    """Chance of the largest sum: how many alternatives of every block would give it."""
    largest = np.maximum.reduceat(steps, blocks.starts)
    ties = np.add.reduceat((steps == largest[blocks.block_of]).astype(np.float64), blocks.starts)
    return math.exp(float(np.log(ties / blocks.sizes).sum()))


@dataclass(frozen=True)
class OmnibusResult:
    """The largest of several standardised scores, against the largest of the same random choices."""

    z: tuple[float, ...]  # of each score
    p: float
    p_lower: float  # of the smallest of them
    smallest_p: float
    choices: int


def omnibus_test(scores: Floats, blocks: Blocks, choices: int, rng: np.random.Generator) -> OmnibusResult:
    """Test several scores of the same alternatives at once, the most telling of which counts.

    scores (K, n). choices: how many random ones the largest is compared with. Raises ChoiceError.
    """
    if scores.ndim != 2 or not len(scores) or choices < 1:
        raise ChoiceError("An omnibus takes one score or more, and one random choice or more.")
    own = np.stack([contributions(score, blocks) for score in scores])
    spread = np.sqrt((np.add.reduceat(own**2, blocks.starts, axis=1) / blocks.sizes).sum(axis=1))
    own = np.divide(own, spread[:, None], out=np.zeros_like(own), where=spread[:, None] > 0)
    true = own[:, blocks.home].sum(axis=1)
    above = below = 1
    for picked in _random_choices(blocks, choices, rng):
        sums = np.stack([score[picked].sum(axis=1) for score in own])
        above += int((sums.max(axis=0) >= true.max() - ROUNDING).sum())
        below += int((sums.min(axis=0) <= true.min() + ROUNDING).sum())
    total = choices + 1
    return OmnibusResult(tuple(map(float, true)), above / total, below / total, 1 / total, choices)


def _random_choices(blocks: Blocks, choices: int, rng: np.random.Generator) -> Iterator[Ints]:
    """(some, B) positions of alternatives. From raw 64-bit words, whose stream NumPy fixes for good.

    A word modulo a block's size is uniform but for 2^-59.
    """
    rows, count = max(1, CHUNK_VALUES // len(blocks)), len(blocks)
    for start in range(0, choices, rows):
        some = min(rows, choices - start)
        words = rng.bit_generator.random_raw(some * count).reshape(some, count)
        yield blocks.starts + (words % blocks.sizes.astype(np.uint64)).astype(np.int64)
