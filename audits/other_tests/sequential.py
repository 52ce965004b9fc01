"""Sequential test of ranks, after "A General Framework for Data-Use Auditing of ML Models" (CCS 2024).

Huang, Gong and Reiter (arXiv 2407.15100): does a model score published data above what was held back? Samples come
without replacement, a confidence sequence bounds the count among all (Waudby-Smith and Ramdas 2020, arXiv 2006.04347).
What it is worth for keyed choices: docs/method.md, section 9.4.
"""

from __future__ import annotations

import numpy as np
import scipy  # its parts load when they are first used: no command and no page should wait for them
from numpy.typing import NDArray

from audits.other_tests.blocks import checked_blocks
from audits.other_tests.verdict import OtherTestError, Verdict

SEQUENTIAL_RANK = "sequential rank test"
SOURCE = "Huang, Gong and Reiter 2024, arXiv 2407.15100"
WORTH = (
    "A bound, not an exact error rate: a model that never saw the release gets so small a number at most so often. "
    "Half of it is given to chance among the keys, half to a limit that may be looked at after every block."
)
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def sequential_rank(
    scores: NDArray[np.floating], block_of: Ints, home: Ints, population: int, rng: np.random.Generator
) -> Verdict:
    """The least rate at which the test would have accused, looking after every block.

    scores (n,), larger where a model knows an image better; block_of (n,) ascending from 0; home (t,) which one of each
    block stayed home; population: blocks in all, of which these t come first in a random order. rng: breaks ties.
    """
    wins = published_wins(scores, block_of, home, rng)
    if population < len(wins):
        raise OtherTestError("There are fewer blocks in all than were asked about.")
    logarithms = log_rates(np.cumsum(wins), population)
    first = int(np.argmin(logarithms))
    return Verdict(
        SEQUENTIAL_RANK,
        min(1.0, float(np.exp(logarithms[first]))),
        float(wins.mean()),
        len(block_of),
        SOURCE,
        {"blocks until then": float(first + 1), "share of blocks where the published rank higher": float(wins.mean())},
        WORTH,
    )


def published_wins(scores: NDArray[np.floating], block_of: Ints, home: Ints, rng: np.random.Generator) -> Ints:
    """(t,) 1 where the one at home ranks in the lower half of its block, 0 in the upper one.

    Chance decides among ties and for the middle rank, so that both have the chance 1/2 whatever the scores are.
    """
    values = checked_blocks(scores, block_of, home)
    order = np.lexsort((rng.random(len(values)), values, block_of))  # blocks stay in their places
    place = np.empty(len(values), dtype=np.int64)
    place[order] = np.arange(len(values))
    sizes = np.bincount(block_of)
    rank = place[home] - (np.cumsum(sizes) - sizes)
    coin = rng.integers(0, 2, len(sizes))
    wins: Ints = np.where(2 * rank == sizes - 1, coin, 2 * rank < sizes - 1).astype(np.int64)
    return wins


def log_rates(wins: Ints, population: int) -> Floats:
    """(t,) log of the least rate at which each step accuses; wins (t,) so far, of `population` blocks in all.

    Accused at a rate a: every total below T lies outside the confidence set at a/2, where T is the least total that
    chance reaches with at most a/2.
    """
    # Outside are totals whose ratio of prior (uniform) to posterior is 2/a or more. The posterior rises with the total
    # up to its mode, and chance falls, so bisection finds where they meet.
    seen = np.arange(1, len(wins) + 1)
    mode = wins + np.minimum((population - seen + 1) * wins // seen, population - seen)
    low, high = np.zeros(len(wins), dtype=np.int64), mode + 1  # T: excluded too surely, hardly excluded
    while (high - low > 1).any():
        middle = (low + high) // 2
        hardly = _log_posterior_ratio(middle - 1, wins, seen, population) >= _log_chance(middle, population)
        high, low = np.where(hardly, middle, high), np.where(hardly, low, middle)
    worst = [
        np.maximum(_log_chance(total, population), _log_posterior_ratio(total - 1, wins, seen, population))
        for total in (low, high)
    ]
    rates: Floats = np.minimum(np.log(2) + np.minimum(*worst), 0.0)
    return rates


def _log_chance(total: Ints, population: int) -> Floats:
    """log P(so many or more of the population by fair coins)."""
    with np.errstate(divide="ignore"):  # chances below the least float are none
        found: Floats = scipy.stats.binom.logsf(total - 1, population, 0.5)
    return found


def _log_posterior_ratio(total: Ints, wins: Ints, seen: Ints, population: int) -> Floats:
    """log of posterior over prior of a total, after `wins` among `seen`: the reciprocal of the martingale.

    The prior is uniform on 0 … population, so the rest of the total follows a beta-binomial law.
    """
    left, rest = population - seen, total - wins
    inside = (rest >= 0) & (rest <= left)
    one = np.where(inside, rest, 0)

    def log_beta(a: Ints, b: Ints) -> Floats:
        value: Floats = scipy.special.betaln(a, b)
        return value

    combinations = -np.log(left + 1) - log_beta(left - one + 1, one + 1)
    law = combinations + log_beta(one + 1 + wins, left - one + 1 + seen - wins) - log_beta(1 + wins, 1 + seen - wins)
    return np.where(inside, law + np.log(population + 1), -np.inf)
