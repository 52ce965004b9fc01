"""SSIM against its definition, pixel by pixel, and what it must do."""

import numpy as np
import pytest

from audits.pilots.pilot.similarity import RADIUS, SIGMA, structural_similarity

RNG = np.random.default_rng(3)
IMAGE = RNG.integers(0, 256, (17, 15, 3), dtype=np.uint8)


def by_definition(one, other):
    """Equation 13 of Wang et al. 2004 with windows that lie inside the image."""
    across = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / SIGMA) ** 2)
    weights = np.outer(across, across) / across.sum() ** 2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    found = []
    for row in range(RADIUS, one.shape[0] - RADIUS):
        for column in range(RADIUS, one.shape[1] - RADIUS):
            at = np.s_[row - RADIUS : row + RADIUS + 1, column - RADIUS : column + RADIUS + 1]
            for channel in range(3):
                a, b = (image[at][:, :, channel].astype(float) for image in (one, other))
                ma, mb = (weights * a).sum(), (weights * b).sum()
                va, vb = (weights * (a - ma) ** 2).sum(), (weights * (b - mb) ** 2).sum()
                vab = (weights * (a - ma) * (b - mb)).sum()
                found.append((2 * ma * mb + c1) * (2 * vab + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2)))
    return np.mean(found)


def test_it_is_what_the_paper_defines():
    noisy = np.clip(IMAGE + RNG.normal(0, 20, IMAGE.shape), 0, 255).astype(np.uint8)
    assert structural_similarity(IMAGE, noisy) == pytest.approx(by_definition(IMAGE, noisy), abs=1e-9)


def test_equal_images_are_alike_and_more_noise_is_less_alike():
    assert structural_similarity(IMAGE, IMAGE) == pytest.approx(1)
    alike = [
        structural_similarity(IMAGE, np.clip(IMAGE + RNG.normal(0, noise, IMAGE.shape), 0, 255).astype(np.uint8))
        for noise in (5, 20, 80)
    ]
    assert alike == sorted(alike, reverse=True)


def test_tiny_images_have_one_too_and_other_shapes_are_refused():
    assert structural_similarity(IMAGE[:4, :4], IMAGE[:4, :4]) == pytest.approx(1)
    with pytest.raises(ValueError, match="compared"):
        structural_similarity(IMAGE, IMAGE[:5])
