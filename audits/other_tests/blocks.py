"""Blocks of alternatives, one of each of which stayed home, as tests of others compare them.

Views of published and withheld images are compared in the manner of DOV4CL (Xie et al., ICLR 2025, arXiv 2502.07276),
block by block. What each is worth: docs/method.md, section 9.4.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audits.other_tests.paired import paired_t, paired_wilcoxon
from audits.other_tests.verdict import OtherTestError, Verdict, checked

VIEWS_T, VIEWS_WILCOXON = "views within blocks, t-test", "views within blocks, Wilcoxon"
SOURCE = "in the manner of Xie et al. 2025, arXiv 2502.07276"
WORTH_T = (
    "An approximation for many blocks: whichever stayed home, the gap of a model that never saw the release is zero on "
    "average, but it need not spread as the t-distribution says. No error rate beside a rigged reference."
)
WORTH_PAIRS = (
    "An approximation for many blocks of two: the gap of a model that never saw the release has either sign with the "
    "same chance. No error rate beside a rigged reference."
)
WORTH_WILCOXON = (
    "No error rate for blocks of more than two: the mean of several published images less the one at home leans to one "
    "side in models that never saw the release, too."
)
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def checked_blocks(scores: NDArray[np.floating], block_of: Ints, home: Ints) -> Floats:
    """Finite scores (n,) of blocks of two or more, numbered from 0 in their order, with one at home in each."""
    values = checked(scores, "Scores of alternatives", 2, 1)
    sizes = np.bincount(block_of) if len(block_of) == len(values) else np.zeros(0, dtype=np.int64)
    if not len(sizes) or sizes.min() < 2 or not np.array_equal(block_of[home], np.arange(len(sizes))):
        raise OtherTestError("Every block needs two alternatives or more, and one of them at home.")
    return values


def gaps(scores: NDArray[np.floating], block_of: Ints, home: Ints) -> Floats:
    """(B,) mean score of the published less that of the one at home, of every block."""
    values = checked_blocks(scores, block_of, home)
    sums, sizes = np.bincount(block_of, weights=values), np.bincount(block_of)
    found: Floats = (sums - values[home]) / (sizes - 1) - values[home]
    return found


def views_within_blocks(
    suspect: NDArray[np.floating], shadows: NDArray[np.floating], block_of: Ints, home: Ints
) -> list[Verdict]:
    """Does the suspect tell published from withheld images better than the shadows do? A t-test and Wilcoxon's.

    suspect (n,), shadows (K, n): how alike the answers to an image's views are; K >= 1 models that never saw the
    release. block_of (n,) ascending from 0; home (B,) which one of each block stayed home.
    """
    if np.ndim(shadows) != 2 or not len(shadows):
        raise OtherTestError("Views are compared with those of a model that never saw the release.")
    own = gaps(suspect, block_of, home)
    others = np.mean([gaps(shadow, block_of, home) for shadow in shadows], axis=0)
    details = {"gap of the suspect": float(own.mean()), "gap of the shadows": float(others.mean())}
    by_ranks = WORTH_PAIRS if np.bincount(block_of).max() == 2 else WORTH_WILCOXON
    return [
        replace(verdict, test=name, samples=len(suspect), source=SOURCE, details=details, disclaimer=worth)
        for verdict, name, worth in (
            (paired_t(others, own), VIEWS_T, WORTH_T),
            (paired_wilcoxon(others, own), VIEWS_WILCOXON, by_ranks),
        )
    ]
