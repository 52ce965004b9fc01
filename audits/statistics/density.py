"""One kernel density at three levels of access (docs/method.md, section 3).

An output y is mapped to phi(y); rho(A, B) = mean <phi(a), phi(b)>, so every density needs only sums: O(N d). Shapes
used throughout: N probes, d dimensions of phi, k labels, G patterns and as many groups. Dimensionless, NumPy only, in
double precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from provenance.errors import TouchmarkError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Level = Literal["features", "soft", "hard"]
LEVELS: tuple[Level, ...] = get_args(Level)

# Sums of float32 soft-maxes miss one by about 1e-6, low precision and rounded answers by up to a hundredth.
ROUNDING_OF_PROBABILITIES = 1e-2
# A dimension that varies less than this, relative to its size, holds rounding noise only.
CONSTANT_DIMENSION = 1e-6


class DensityError(TouchmarkError):
    """Answers from which no density can be computed; the sentence tells a person what is wrong."""


class DegenerateAnswersError(DensityError):
    """The model says the same to every clean probe, so nothing can be measured at this level."""


def answered_rows(values: NDArray[np.floating]) -> Bools:
    """Which rows were answered: (N,) bool. A missing or refused answer is stored as a row of NaN only.

    Raises DensityError if a row holds NaN or infinity beside numbers, or if the array is not (N >= 1, d >= 1).
    """
    if values.ndim != 2 or values.shape[0] == 0 or values.shape[1] == 0:
        raise DensityError(f"Answers must be a table of (images, values); this one has the shape {values.shape}.")
    finite = np.isfinite(values)
    answered: Bools = finite.all(axis=1)
    missing = np.isnan(values).all(axis=1)
    broken = np.flatnonzero(~answered & ~missing)
    if broken.size:
        raise DensityError(f"The model's answer to image {broken[0]} holds values that are no finite numbers.")
    return answered


@dataclass(frozen=True)
class Standardiser:
    """Mean and deviation of every feature over the clean probes, each (d,) float64.

    A constant dimension has the scale 0, so it adds nothing to any density.
    """

    mean: Floats
    scale: Floats

    @classmethod
    def fit(cls, clean: NDArray[np.floating]) -> Standardiser:
        """Fit on the clean probes' features (N, d); missing rows are left out.

        Raises DegenerateAnswersError if fewer than two were answered or every dimension is constant.
        """
        rows = clean[answered_rows(clean)].astype(np.float64)
        if len(rows) < 2:
            raise DegenerateAnswersError("The model answered fewer than two clean probes; use more probes.")
        mean, deviation = rows.mean(axis=0), rows.std(axis=0)
        varies = deviation > CONSTANT_DIMENSION * np.maximum(np.abs(rows).max(axis=0), np.finfo(np.float64).tiny)
        if not varies.any():
            raise DegenerateAnswersError("The model gives the same features to every clean probe: check its weights.")
        return cls(mean, np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 0.0))

    def phi(self, features: NDArray[np.floating]) -> Floats:
        """(N, d) features -> (N, d) float64, standardised and of length one; missing rows become zero."""
        answered = answered_rows(features)
        if features.shape[1] != len(self.mean):
            raise DensityError(f"The model gave {features.shape[1]} features; its clean probes gave {len(self.mean)}.")
        centred = (np.where(answered[:, None], features, self.mean).astype(np.float64) - self.mean) * self.scale
        lengths = np.linalg.norm(centred, axis=1, keepdims=True)
        phi: Floats = np.divide(centred, lengths, out=np.zeros_like(centred), where=lengths > 0)
        return phi


def phi_soft(soft: NDArray[np.floating]) -> Floats:
    """Square roots of probabilities: (N, k) -> (N, k + 1) float64; missing rows become zero.

    The last bin holds what a top-k answer leaves out, so every vector has length one. Sums within a hundredth of one
    are rescaled (docs/method.md, section 3.1). Raises DensityError for negative values and for sums above one.
    """
    answered = answered_rows(soft)
    values = np.where(answered[:, None], soft, 0.0).astype(np.float64)
    if values.min() < -1e-6:
        raise DensityError("Soft labels must be probabilities; some are negative. Were they logits?")
    values = np.maximum(values, 0.0)
    sums = values.sum(axis=1)
    if sums.max() > 1 + ROUNDING_OF_PROBABILITIES:
        raise DensityError(f"Soft labels must sum to at most one; one answer sums to {sums.max():.3f}.")
    complete = sums > 1 - ROUNDING_OF_PROBABILITIES
    values[complete] /= sums[complete, None]
    rest = np.where(answered & ~complete, 1.0 - sums, 0.0)
    return np.sqrt(np.column_stack([values, rest]))


def phi_hard(labels: NDArray[np.floating], classes: int) -> Floats:
    """One-hot labels: (N, 1) labels from 0 to classes - 1 -> (N, classes) float64; missing rows (NaN) become zero."""
    answered = answered_rows(labels)
    chosen = labels[answered, 0].astype(np.int64)
    if labels.shape[1] != 1 or (chosen.size and (chosen.min() < 0 or chosen.max() >= classes)):
        raise DensityError(f"Hard labels must be one number from 0 to {classes - 1} for every image.")
    phi: Floats = np.zeros((len(labels), classes), dtype=np.float64)
    phi[np.flatnonzero(answered), chosen] = 1.0
    return phi


def likeliest(soft: NDArray[np.floating]) -> NDArray[np.float32]:
    """(N, k) soft labels -> (N, 1) hard labels; missing rows stay NaN.

    Among equals the first label counts: a rule that cannot see the key.
    """
    answered = answered_rows(soft)
    labels = np.argmax(np.where(answered[:, None], soft, 0.0), axis=1)
    return np.where(answered, labels, np.nan).astype(np.float32)[:, None]


def _checked(phi: Floats) -> Floats:
    if phi.ndim != 2 or len(phi) < 2:
        raise DensityError(f"A density needs at least 2 answers in a table; this set has the shape {phi.shape}.")
    return phi


def density_within(a: Floats) -> float:
    """rho(A, A) over i != j, a (N >= 2, d): (|sum a|^2 - sum |a|^2) / (N (N - 1)). O(N d).

    At the hard level this is the collision probability of two labels.
    """
    n = len(_checked(a))
    total = a.sum(axis=0)
    return float((total @ total - np.einsum("nd,nd->", a, a)) / (n * (n - 1)))


@dataclass(frozen=True)
class DensityScores:
    """How one pattern changes the outputs of one model at one level (docs/method.md, section 3.3)."""

    gain: float
    divergence: float
    displacement: float
    coherence: float


def as_no_shift(marked: Floats, clean: Floats, marked_answered: Bools, clean_answered: Bools) -> Floats:
    """Replace missing answers by no shift, a rule that cannot see the key: (N, d) -> (N, d).

    A marked probe without an answer, and every mark on a probe whose clean answer is missing, takes phi of the
    clean probe (which is zero where that one is missing).
    """
    return np.where((marked_answered & clean_answered)[:, None], marked, clean)


def density_scores(marked: Floats, clean: Floats) -> DensityScores:
    """The four scores of one pattern; marked and clean are phi of the same N >= 2 probes, both (N, d).

    gain TT - CC; divergence TT - 2 TC + CC (unbiased MMD^2, Gretton et al. 2012, lemma 6); displacement
    sqrt(mean |u|^2); coherence, the mean pairwise cosine of the shifts u = t - c (docs/method.md, section 3.3).
    """
    if marked.shape != clean.shape:
        raise DensityError(f"Marked and clean probes differ in shape: {marked.shape} and {clean.shape}.")
    n = len(_checked(marked))
    tt, cc = density_within(marked), density_within(clean)
    tc = float((marked.sum(axis=0) @ clean.sum(axis=0) - np.einsum("nd,nd->", marked, clean)) / (n * (n - 1)))
    shift = marked - clean
    lengths = np.linalg.norm(shift, axis=1, keepdims=True)
    # Unmoved outputs differ by rounding only; their direction means nothing.
    directions = np.divide(shift, lengths, out=np.zeros_like(shift), where=lengths > 1e-12)
    return DensityScores(
        gain=tt - cc,
        divergence=tt - 2 * tc + cc,
        displacement=float(np.sqrt(np.mean(lengths**2))),
        coherence=density_within(directions),
    )


def group_means(phi: Floats, group_of: NDArray[np.integer], groups: int) -> Floats:
    """Mean phi of the owner's clean images of every group: phi (M, d), group_of (M,) -> (groups, d).

    Raises DensityError where a group has no image or an index lies outside.
    """
    if group_of.shape != (len(phi),):
        raise DensityError(f"{len(phi)} answers to group images, but {group_of.shape} group numbers.")
    if group_of.size and (group_of.min() < 0 or group_of.max() >= groups):
        raise DensityError(f"Group numbers must lie between 0 and {groups - 1}.")
    counts = np.bincount(group_of, minlength=groups)
    if (counts == 0).any():
        raise DensityError(f"Group {int(np.argmin(counts))} has no image to measure the pull towards.")
    sums: Floats = np.zeros((groups, phi.shape[1]))
    np.add.at(sums, group_of, phi)
    return sums / counts[:, None]


def pulls(marked_mean: Floats, clean_mean: Floats, group_mean: Floats) -> Floats:
    """Pull matrix A[j, g] = rho(T_j, O_g) - rho(C, O_g): (P, d), (d,), (G, d) -> (P, G).

    The arguments are means of phi: of the probes marked with every pattern, of the clean probes, of every group.
    """
    if not marked_mean.shape[1] == clean_mean.shape[0] == group_mean.shape[1]:
        raise DensityError("Patterns, clean probes and groups must have answers of one dimension.")
    pull: Floats = (marked_mean - clean_mean) @ group_mean.T
    return pull
