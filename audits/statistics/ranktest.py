"""Exact test of a plain mark: the rank of the true key among decoy keys (docs/method.md, section 5).

Everything treats the keys alike; only `rank_test` looks at which row is the true one. Why the early stop keeps the
size: section 5.5. NumPy only. K = m + 1 keys, S scores per key, R references; scores are dimensionless.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audits.statistics.density import DensityScores
from provenance.errors import TouchmarkError
from provenance.keying import derive

Floats = NDArray[np.float64]

SCORES = ("displacement", "divergence", "coherence")
MOST_DECOYS = 100_000
# Leverages lie in [0, 1); equal keys differ in theirs by rounding only. Near-ties count against the claimant.
TIE_TOLERANCE = 1e-9
# Directions in which the scores vary less than this, relative to the widest, hold rounding noise only.
SINGULAR = 1e-9


class RankTestError(TouchmarkError):
    """Input to which the rank test cannot be applied; the sentence tells a person what to change."""


def decoy_key(plan_digest: str, nonce: bytes, index: int) -> bytes:
    """Key number `index` (from 0) of an audit's decoys, 32 bytes: HKDF(plan digest, audit nonce).

    plan_digest is the SHA-256 of the locked plan in hex; nonce, at least 16 bytes, is drawn once after the lock, so
    nobody can choose a plan whose decoys happen to score low. Derive marks from it exactly as from a true key.
    """
    return derive(bytes.fromhex(plan_digest), nonce, f"decoy/{index}")


def steady_scores(scores: DensityScores) -> Floats:
    """Displacement, divergence and coherence on a scale where noise is about the same everywhere: (3,) float64."""
    return np.array(
        [
            np.log(scores.displacement + 1e-3),
            0.5 * np.log(max(scores.divergence, 0.0) + 1e-6),
            np.log(max(scores.coherence, 0.0) + 0.02),
        ]
    )


def _table(scores: Floats, what: str) -> Floats:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 1:
        raise RankTestError(f"{what} must be a table of (keys, scores); this one has the shape {table.shape}.")
    if not np.isfinite(table).all():
        raise RankTestError(f"{what} hold values that are no finite numbers.")
    return table


def reference_control(scores: Floats, references: list[Floats]) -> Floats:
    """What the keys do to this model beyond what they do to any model: (K, S), list of (K, S) -> (K, S) residuals.

    Each score is regressed (least squares with intercept) on the same score of every reference, over all K keys
    together: it cannot see which key is the true one.
    """
    table = _table(scores, "The scores")
    for reference in references:
        if np.shape(reference) != table.shape:
            raise RankTestError("A reference was asked with other keys or at another level than the suspect.")
    others = np.array([_table(reference, "A reference's scores") for reference in references])
    residuals = table - table.mean(axis=0)
    if not references:
        return residuals
    for score in range(table.shape[1]):
        design = others[:, :, score].T
        design = design - design.mean(axis=0)
        scale = np.linalg.norm(design, axis=0)
        kept = scale > SINGULAR * np.maximum(np.abs(others[:, :, score]).max(axis=1), 1.0)
        if kept.any():
            design = design[:, kept] / scale[kept]
            residuals[:, score] -= design @ np.linalg.lstsq(design, residuals[:, score], rcond=SINGULAR)[0]
    # A suspect that equals a reference leaves rounding noise, which would be ranked as if it meant something.
    residuals[:, np.linalg.norm(residuals, axis=0) <= SINGULAR * np.linalg.norm(table, axis=0)] = 0.0
    return residuals


def leverages(rows: Floats) -> Floats:
    """h(k) = d_k' A^+ d_k for rows (K, S), d_k = row - mean, A = sum d d': (K,) in [0, 1 - 1/K].

    A^+ is the pseudo-inverse, so scores that do not vary, or repeat others, add nothing.
    """
    centred = rows - rows.mean(axis=0)
    size = np.linalg.norm(centred, axis=0)
    varies = size > SINGULAR * np.maximum(np.abs(rows).max(axis=0), np.finfo(np.float64).tiny)
    if not varies.any():
        return np.zeros(len(rows))
    left, widths, _ = np.linalg.svd(centred[:, varies] / size[varies], full_matrices=False)
    left = left[:, widths > SINGULAR * widths[0]]
    h: Floats = np.einsum("kr,kr->k", left, left)
    return h


def distances(rows: Floats) -> Floats:
    """Leave-one-out squared Mahalanobis distance Q(k) of every row to all others: (K, S) -> (K,), K >= 3.

    In O(K S^2) by the Sherman-Morrison formula (docs/method.md, section 5.4). Infinite where the others do not vary at
    all in a direction in which k does.
    """
    return _distances_of(leverages(_table(rows, "The scores")))


def _distances_of(h: Floats) -> Floats:
    keys = len(h)
    ratio = keys / (keys - 1)
    left = 1 - ratio * h
    alone = left <= TIE_TOLERANCE
    q: Floats = np.where(alone, np.inf, (keys - 2) * ratio**2 * h / np.where(alone, 1.0, left))
    return q


@dataclass(frozen=True)
class RankResult:
    """Outcome of one rank test (docs/method.md, section 5.4)."""

    statistic: float  # Q of the true key
    p: float  # upper tail: the true key stands out, in whatever direction, so both signs are evidence
    p_lower: float  # lower tail: it is suspiciously ordinary; for references
    exceedances: int  # decoys with Q >= Q(true)
    decoys: int  # how many were compared
    planned: int  # how many the plan would have compared
    smallest_p: float  # least p that the plan could have given
    distances: Floats  # (decoys + 1,): Q of all keys, the true one first
    looks: int = 1  # how often the test looked

    @property
    def stopped(self) -> bool:
        """Whether the early stop saved some of the planned decoys."""
        return self.decoys < self.planned


def fewest_decoys(scores: int, references: int) -> int:
    """Decoys below which Q cannot tell keys apart, because scores and regression use up all of them."""
    return scores + references + 2


def decoys_needed(alpha: float, references: int) -> int:
    """Decoys below which no plain mark could come to alpha."""
    return max(fewest_decoys(len(SCORES), references), math.ceil(1 / alpha - 1e-9) - 1)


def rank_test(scores: Floats, references: list[Floats] | None = None) -> RankResult:
    """Rank the true key, which is row 0 of scores (m + 1, S), among its m decoys, at one look.

    references: scores (m + 1, S) of models that never saw it, of the same keys in the same order. Statistic and p:
    docs/method.md, section 5.4. Raises RankTestError for tables that do not fit and for too few decoys.
    """
    given = references or []
    table = _table(scores, "The scores")
    decoys = len(table) - 1
    fewest = fewest_decoys(table.shape[1], len(given))
    if decoys < fewest:
        raise RankTestError(f"{decoys} decoys cannot be told apart by these scores; ask at least {fewest}.")
    # Q rises with the leverage, and leverages are well-scaled: compare those.
    h = leverages(reference_control(table, given))
    exceedances = int(np.count_nonzero(h[1:] >= h[0] - TIE_TOLERANCE))
    below = int(np.count_nonzero(h[1:] <= h[0] + TIE_TOLERANCE))
    q = _distances_of(h)
    return RankResult(
        statistic=float(q[0]),
        p=(1 + exceedances) / (decoys + 1),
        p_lower=(1 + below) / (decoys + 1),
        exceedances=exceedances,
        decoys=decoys,
        planned=decoys,
        smallest_p=1 / (decoys + 1),
        distances=q,
    )


@dataclass(frozen=True)
class StoppingRule:
    """Besag and Clifford's stop, in blocks: the plan fixes it before the first query.

    decoys: most that will be asked; block: how many between two looks; exceedances: h, the number of decoys at least
    as extreme as the true key at which an innocent is let go. h = 0 means never to stop early.
    """

    decoys: int
    block: int = 0
    exceedances: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.decoys <= MOST_DECOYS:
            raise RankTestError(f"Choose between 1 and {MOST_DECOYS:,} decoys.")
        if self.exceedances < 0 or self.block < 0 or bool(self.block) != bool(self.exceedances):
            raise RankTestError("An early stop needs both a block and a number of exceedances, each 1 or more.")

    @property
    def smallest_p(self) -> float:
        return 1 / (self.decoys + 1)

    def looks(self, scores: int = len(SCORES), references: int = 0) -> tuple[int, ...]:
        """Numbers of decoys at which to look, ascending, the last being all of them.

        Looks with fewer than twice the decoys that the test needs are left out: they could not stop it sensibly.
        """
        if not self.exceedances:
            return (self.decoys,)
        first = max(2 * fewest_decoys(scores, references), self.exceedances)
        early = [n for n in range(self.block, self.decoys, self.block) if n >= first]
        return (*early, self.decoys)

    def ends(self, result: RankResult) -> bool:
        """Whether the test is over after this look."""
        return result.decoys >= self.decoys or 0 < self.exceedances <= result.exceedances

    def next_look(self, asked: int, results: Sequence[RankResult], references: int = 0) -> int | None:
        """How many decoys to have asked at the next look, or None where every result is final.

        results: of all levels (and of the tests with and without references) on the decoys asked so far, none before
        the first look. Each stops by its own count (docs/method.md, section 5.5).
        """
        if results and all(self.ends(result) for result in results):
            return None
        return next((look for look in self.looks(references=references) if look > asked), None)


def sequential_rank_test(scores: Floats, rule: StoppingRule, references: list[Floats] | None = None) -> RankResult:
    """The rank test with its early stop, on scores (at least as many keys as the stop needs, S), true key first.

    A job calls it after every block with the keys asked so far; the result is final once `rule.ends(result)`
    (docs/method.md, section 5.5). Raises RankTestError for rows beyond the rule's decoys, and before the first look.
    """
    table = _table(scores, "The scores")
    given = references or []
    if len(table) - 1 > rule.decoys:
        raise RankTestError(f"The plan allows {rule.decoys} decoys; {len(table) - 1} were asked.")
    for reference in given:
        if np.shape(reference) != table.shape:
            raise RankTestError("A reference was asked with other keys or at another level than the suspect.")
    due = [n for n in rule.looks(table.shape[1], len(given)) if n < len(table)]
    for looks, decoys in enumerate(due, start=1):
        result = rank_test(table[: decoys + 1], [reference[: decoys + 1] for reference in given])
        if rule.ends(result) or looks == len(due):
            return replace(result, planned=rule.decoys, smallest_p=rule.smallest_p, looks=looks)
    raise RankTestError("No look is due yet: ask further decoys.")
