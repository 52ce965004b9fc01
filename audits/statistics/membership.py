"""How well a model knows an image, from its answers to V views of it (docs/method.md, section 12).

Scores are larger where a model knows an image better, dimensionless, and treat all images alike, so they cannot see
which of them stayed home. n images, V views, d features, k labels; missing answers are rows of NaN. NumPy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audits.statistics.density import CONSTANT_DIMENSION, DegenerateAnswersError, DensityError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LEAST_CHANCE = 1e-4  # probabilities below it count as it: what lies there is mostly rounding


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squares about the mean of rows that come block by block, each (d,) float64.

    Chan, Golub and LeVeque 1983: no difference of large sums. The same blocks in the same order give the same bits.
    """

    count: int
    mean: Floats
    squares: Floats
    largest: Floats  # of the absolute values

    @classmethod
    def of(cls, rows: NDArray[np.floating]) -> Moments:
        """rows (N, d): those with NaN are left out."""
        given = rows[np.isfinite(rows).all(axis=1)].astype(np.float64)
        if not len(given):
            nothing = np.zeros(rows.shape[1])
            return cls(0, nothing, nothing, nothing)
        mean = given.mean(axis=0)
        return cls(len(given), mean, ((given - mean) ** 2).sum(axis=0), np.abs(given).max(axis=0))

    def __add__(self, other: Moments) -> Moments:
        count = self.count + other.count
        if count == 0:
            return self
        apart = other.mean - self.mean
        return Moments(
            count,
            self.mean + apart * (other.count / count),
            self.squares + other.squares + apart**2 * (self.count * other.count / count),
            np.maximum(self.largest, other.largest),
        )

    def scale(self) -> Floats:
        """(d,) one over the deviation, zero for what is constant. Raises DegenerateAnswersError if everything is."""
        if self.count < 2:
            raise DegenerateAnswersError("The model answered fewer than two views.")
        deviation = np.sqrt(self.squares / self.count)
        varies = deviation > CONSTANT_DIMENSION * np.maximum(self.largest, np.finfo(np.float64).tiny)
        if not varies.any():
            raise DegenerateAnswersError("The model says the same to every view: check its weights.")
        return np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 0.0)


def log_ratios(soft: NDArray[np.floating]) -> Floats:
    """Centred log-ratio (Aitchison 1986) of probabilities (N, k), those below 1e-4 raised to it; missing rows stay NaN.

    Raises DensityError for what are no probabilities.
    """
    values = soft.astype(np.float64)
    given = np.isfinite(values).all(axis=1)
    if given.any() and (values[given].min() < -1e-4 or values[given].sum(axis=1).max() > 1 + 1e-2):
        raise DensityError("Soft labels must be probabilities, which are not negative and sum to at most one.")
    logarithms = np.log(np.maximum(values, LEAST_CHANCE))
    centred: Floats = logarithms - logarithms.mean(axis=1, keepdims=True)
    return centred


def view_density(values: NDArray[np.floating], moments: Moments) -> Floats:
    """(n, V, d) answers to (n,) mean inner product of two different views, standardised and of length one.

    moments: of the answers to all views of all images. An image with fewer than two answers gets NaN.
    """
    given = _given(values)
    centred = (np.where(given[:, :, None], values, moments.mean).astype(np.float64) - moments.mean) * moments.scale()
    lengths = np.linalg.norm(centred, axis=2, keepdims=True)
    phi = np.divide(centred, lengths, out=np.zeros_like(centred), where=lengths > 0)
    total = phi.sum(axis=1)
    pairs = np.einsum("nd,nd->n", total, total) - np.einsum("nvd,nvd->n", phi, phi)
    return _per_pair(pairs, given)


def view_agreement(labels: NDArray[np.floating]) -> Floats:
    """(n, V) hard labels to (n,) chance that two different views get one label; NaN below two answers."""
    given = np.isfinite(labels)
    equal = (labels[:, :, None] == labels[:, None, :]).sum(axis=(1, 2)).astype(np.float64)
    return _per_pair(equal - given.sum(axis=1), given)


def view_confidence(soft: NDArray[np.floating]) -> Floats:
    """(n, V, k) probabilities to (n,) mean log-odds of the likeliest label over the views; NaN without an answer.

    Log-odds, for they do not saturate as the chance itself does (Carlini et al. 2022).
    """
    given = _given(soft)
    most = np.where(given[:, :, None], soft, 0.5).max(axis=2).astype(np.float64).clip(LEAST_CHANCE, 1 - LEAST_CHANCE)
    odds = np.where(given, np.log(most) - np.log1p(-most), 0.0)
    count = given.sum(axis=1)
    return np.divide(odds.sum(axis=1), count, out=np.full(len(odds), np.nan), where=count > 0)


def caption_density(cosines: NDArray[np.floating]) -> Floats:
    """(n, V) cosines of the views of an image with its own caption to (n,) their mean: the density to one point.

    NaN without an answer, or without a caption.
    """
    given = np.isfinite(cosines)
    sums = np.where(given, cosines, 0.0).sum(axis=1, dtype=np.float64)
    count = given.sum(axis=1)
    return np.divide(sums, count, out=np.full(len(sums), np.nan), where=count > 0)


def without_gaps(scores: Floats, block_of: Ints) -> Floats:
    """(n,) scores, missing ones replaced by the mean of their block's others, or by zeros where a block has none.

    So they neither speak for the choice nor against it, whatever it is; block_of (n,): ascending from 0.
    """
    given = np.isfinite(scores)
    known = np.bincount(block_of, weights=np.where(given, scores, 0.0))
    count = np.bincount(block_of, weights=given.astype(np.float64))
    means = np.divide(known, count, out=np.zeros_like(known), where=count > 0)
    return np.where(given, scores, means[block_of])


def reference_residual(scores: Floats, others: Floats, block_of: Ints) -> Floats:
    """(n,) what of the scores others do not explain: least squares within blocks, on (K, n) others.

    others: scores that references give, and public covariates; no secret enters. Within blocks, for only differences
    between alternatives of one block count; so the residuals have the mean zero in each.
    """
    own = _within_blocks(scores, block_of)
    if not len(others):
        return own
    table = np.stack([_within_blocks(other, block_of) for other in others], axis=1)
    lengths = np.sqrt((table**2).sum(axis=0))
    table = np.divide(table, lengths, out=np.zeros_like(table), where=lengths > 0)
    factors = np.linalg.lstsq(table, own, rcond=1e-10)[0]
    left: Floats = own - table @ factors
    # A suspect that is itself a reference leaves rounding noise only.
    noise = 1e-10 * float(np.sqrt((own**2).sum()))
    return left if float(np.sqrt((left**2).sum())) > noise else np.zeros_like(left)


def area_under_curve(scores: Floats, at_home: Bools) -> float:
    """Chance that a published image scores higher than one at home, ties counting half (Mann and Whitney 1947)."""
    order = np.argsort(scores, kind="stable")
    values, places = scores[order], np.arange(1, len(scores) + 1, dtype=np.float64)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.bincount(inverse, weights=places) / counts)[inverse]
    published = ~at_home[order]
    higher, home = int(published.sum()), int(at_home.sum())
    return float((ranks[published].sum() - higher * (higher + 1) / 2) / (higher * home))


def _given(values: NDArray[np.floating]) -> Bools:
    """(n, V) which views of which images were answered."""
    given: Bools = np.isfinite(values).all(axis=2)
    return given


def _per_pair(sums: Floats, given: Bools) -> Floats:
    count = given.sum(axis=1).astype(np.float64)
    pairs = count * (count - 1)
    return np.divide(sums, pairs, out=np.full(len(sums), np.nan), where=pairs > 0)


def _within_blocks(values: Floats, block_of: Ints) -> Floats:
    means = np.bincount(block_of, weights=values) / np.bincount(block_of)
    return values - means[block_of]
