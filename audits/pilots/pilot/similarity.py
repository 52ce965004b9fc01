"""How alike an image and its marked copy look. NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import scipy  # its parts load when they are first used: no command and no page should wait for them
from numpy.typing import NDArray

SIGMA, RADIUS = 1.5, 5  # of the window, 11 pixels wide
K1, K2, RANGE = 0.01, 0.03, 255.0


def structural_similarity(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean SSIM of two images (H, W, C) uint8 with a Gaussian window, over pixels and channels: 1 where they are equal.

    Wang et al. 2004, equation 13, whose window and constants these are; windows that reach beyond the image are left
    out where it is large enough. Raises ValueError where the images differ in shape.
    """
    if one.shape != other.shape:
        raise ValueError(f"An image of {one.shape} is compared with one of {other.shape}.")
    a, b = one.astype(np.float64), other.astype(np.float64)
    mean_a, mean_b = _window(a), _window(b)
    variance_a, variance_b = _window(a * a) - mean_a**2, _window(b * b) - mean_b**2
    together = _window(a * b) - mean_a * mean_b
    c1, c2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
    above = (2 * mean_a * mean_b + c1) * (2 * together + c2)
    found = above / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))
    if min(one.shape[:2]) > 2 * RADIUS:
        found = found[RADIUS:-RADIUS, RADIUS:-RADIUS]
    return float(found.mean())


def _window(values: NDArray[np.float64]) -> NDArray[np.float64]:
    filtered: NDArray[np.float64] = scipy.ndimage.gaussian_filter(values, (SIGMA, SIGMA, 0), truncate=RADIUS / SIGMA)
    return filtered
