"""Likelihood of features under a Gaussian mixture, after "Dataset Inference for Self-Supervised Models".

Dziedzic et al., NeurIPS 2022 (arXiv 2209.09024): a mixture (10 components for small images) fitted to half of the
released images; the other half is compared with held-out images by a one-sided t-test. Why this is no error rate:
docs/method.md, section 9.2.
"""

from __future__ import annotations

import warnings

import numpy as np
import scipy  # its parts load when they are first used: no command and no page should wait for them
from numpy.typing import NDArray

from audits.other_tests.verdict import OtherTestError, Verdict, checked

GMM_LIKELIHOOD = "GMM log-likelihood"
SOURCE = "Dziedzic et al. 2022, arXiv 2209.09024"
COMPONENTS = 10
DIMENSIONS = 32


def gmm_likelihood(
    released: NDArray[np.floating],
    held_out: NDArray[np.floating],
    seed: int = 0,
) -> Verdict:
    """Are released images likelier than held-out ones? released (N >= 4, d), held_out (M >= 2, d) features.

    Features are standardised and projected to at most 32 principal axes of the half that is fitted, where
    the mixture (diagonal covariances) has at most one component per four images. Welch's one-sided t-test.
    Raises OtherTestError where the features do not vary.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    known = checked(released, "Features of released images", 4, 2)
    unknown = checked(held_out, "Features of held-out images", 2, 2)
    if known.shape[1] != unknown.shape[1]:
        raise OtherTestError("Released and held-out features differ in their dimension.")
    order = np.random.default_rng(seed).permutation(len(known))
    half = len(known) // 2
    fitted, tested = known[order[:half]], known[order[half:]]
    project = _Axes(fitted, DIMENSIONS)
    mixture = GaussianMixture(
        min(COMPONENTS, max(1, half // 4)), covariance_type="diag", reg_covar=1e-3, max_iter=50, random_state=seed
    )
    with warnings.catch_warnings():
        # Fifty steps are enough for a comparison; a mixture that still moves a little is no fault of the input.
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(project(fitted))
    inside, outside = mixture.score_samples(project(tested)), mixture.score_samples(project(unknown))
    result = scipy.stats.ttest_ind(inside, outside, equal_var=False, alternative="greater")
    difference = float(inside.mean() - outside.mean())
    nominal = float(result.pvalue) if np.isfinite(result.pvalue) else float(difference <= 0)
    details = {"difference of mean log-likelihoods": difference, "components": float(mixture.n_components)}
    statistic = float(result.statistic) if np.isfinite(result.statistic) else 0.0
    return Verdict(GMM_LIKELIHOOD, nominal, statistic, len(tested) + len(unknown), SOURCE, details)


class _Axes:
    """Standardise, then rotate to the principal axes of the rows it was made from."""

    def __init__(self, rows: NDArray[np.float64], dimensions: int) -> None:
        self.mean, scale = rows.mean(axis=0), rows.std(axis=0)
        varies = scale > 1e-9 * np.maximum(np.abs(rows).max(axis=0), 1e-300)
        if not varies.any():
            raise OtherTestError("The model gives the same features to every image; no likelihood can be compared.")
        self.scale = np.where(varies, 1.0 / np.where(varies, scale, 1.0), 0.0)
        _, widths, axes = np.linalg.svd((rows - self.mean) * self.scale, full_matrices=False)
        kept = min(dimensions, int((widths > 1e-6 * widths[0]).sum()))
        self.axes = axes[:kept].T

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        projected: NDArray[np.float64] = ((rows - self.mean) * self.scale) @ self.axes
        return projected
