"""Consistency of views, in the manner of "Dataset Ownership Verification in Contrastive Pre-trained Models" (DOV4CL).

Xie et al., ICLR 2025 (arXiv 2502.07276): a one-sided paired t-test of whether the suspect's gap between released and
held-out images exceeds that of a shadow model. What is chosen here, and why this is no error rate: docs/method.md,
section 9.3.
"""

from __future__ import annotations

import numpy as np
import scipy  # its parts load when they are first used: no command and no page should wait for them
from numpy.typing import NDArray

from audits.other_tests.verdict import OtherTestError, Verdict, checked

VIEW_CONSISTENCY = "view consistency"
SOURCE = "Xie et al. 2025, arXiv 2502.07276"
SMALLEST_CROP = 0.2  # share of the area
CONTRAST = 0.4


def random_views(images: NDArray[np.uint8], views: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """`views` random views of every image: (N, H, W, 3) -> (N, views, H, W, 3) uint8.

    Crop of 20 to 100 % of the area resized back (bilinear), flip in half of them, contrast times 0.6 to 1.4.
    """
    if images.ndim != 4 or images.dtype != np.uint8 or views < 2:
        raise OtherTestError("Views are made of colour images, at least two of each.")
    count, height, width = images.shape[:3]
    made = np.empty((count, views, *images.shape[1:]), dtype=np.uint8)
    for view in range(views):
        side = np.sqrt(rng.uniform(SMALLEST_CROP, 1.0, size=(count, 1)))
        corner = rng.uniform(size=(count, 2)) * (1 - side)
        rows = (corner[:, :1] + side * (np.arange(height) + 0.5) / height) * height - 0.5
        columns = (corner[:, 1:] + side * (np.arange(width) + 0.5) / width) * width - 0.5
        columns = np.where(rng.uniform(size=(count, 1)) < 0.5, columns[:, ::-1], columns)
        view_of = _sampled(images, rows, columns)
        mean = view_of.mean(axis=(1, 2, 3), keepdims=True)
        factor = rng.uniform(1 - CONTRAST, 1 + CONTRAST, size=(count, 1, 1, 1))
        made[:, view] = np.clip(mean + (view_of - mean) * factor + 0.5, 0, 255).astype(np.uint8)
    return made


def _sampled(images: NDArray[np.uint8], rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bilinear samples at rows (N, H) x columns (N, W), edges repeated: (N, H, W, 3)."""
    which = np.arange(len(images))[:, None, None]

    def weights(
        places: NDArray[np.float64], size: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        inside = np.clip(places, 0, size - 1)
        low = inside.astype(np.int64)
        return low, np.minimum(low + 1, size - 1), inside - low

    top, bottom, down = weights(rows, images.shape[1])
    left, right, across = weights(columns, images.shape[2])
    across = across[:, None, :, None]
    upper = images[which, top[:, :, None], left[:, None, :]] * (1 - across)
    upper += images[which, top[:, :, None], right[:, None, :]] * across
    lower = images[which, bottom[:, :, None], left[:, None, :]] * (1 - across)
    lower += images[which, bottom[:, :, None], right[:, None, :]] * across
    sampled: NDArray[np.float64] = upper + (lower - upper) * down[:, :, None, None]
    return sampled


def relationships(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Per image, unary and binary relationship of its views: (N, V, d) -> (N, 2).

    Unary: mean cosine between different views of the image. Binary: how alike the image's cosines to the other
    images are across views (one minus their mean deviation over pairs of view and view).
    """
    rows = checked(features, "Features of views", 3, 3)
    if rows.shape[1] < 2:
        raise OtherTestError("A relationship between views needs at least two views of every image.")
    unit = rows / np.maximum(np.linalg.norm(rows, axis=2, keepdims=True), 1e-12)
    count, views = unit.shape[:2]
    total = unit.sum(axis=1)
    unary = (np.einsum("nd,nd->n", total, total) - np.einsum("nvd,nvd->n", unit, unit)) / (views * (views - 1))
    cosines = np.einsum("nvd,mvd->vnm", unit, unit)
    spread = cosines.std(axis=0)
    binary = 1 - (spread.sum(axis=1) - np.diagonal(spread)) / (count - 1)
    return np.column_stack([unary, binary])


def view_consistency(
    suspect_released: NDArray[np.floating],
    suspect_held_out: NDArray[np.floating],
    shadow_released: NDArray[np.floating],
    shadow_held_out: NDArray[np.floating],
) -> Verdict:
    """Does the suspect tell released from held-out images more than the shadow does? Each (N, V, d) of its model.

    Released and held-out sets hold equally many images, the same ones for both models; every image pairs with one of
    the other set by its place in the order given.
    """
    suspect = relationships(suspect_released) - _like(suspect_held_out, suspect_released)
    shadow = relationships(shadow_released) - _like(shadow_held_out, shadow_released)
    if suspect.shape != shadow.shape:
        raise OtherTestError("Suspect and shadow must be asked about the same images.")
    difference = suspect.sum(axis=1) - shadow.sum(axis=1)
    details = {"gap of the suspect": float(suspect.mean()), "gap of the shadow": float(shadow.mean())}
    if np.ptp(difference) < 1e-12:
        nominal, statistic = (1.0 if difference[0] <= 1e-12 else 0.0), 0.0
    else:
        result = scipy.stats.ttest_1samp(difference, 0.0, alternative="greater")
        nominal, statistic = float(result.pvalue), float(result.statistic)
    return Verdict(VIEW_CONSISTENCY, nominal, statistic, len(difference), SOURCE, details)


def _like(features: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """`relationships` of a set that must have as many images and views as another."""
    if np.shape(features)[:2] != np.shape(other)[:2]:
        raise OtherTestError("Released and held-out images must be equally many, with equally many views.")
    return relationships(features)
