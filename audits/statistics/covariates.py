"""What anybody can see of a picture that makes it easy or hard for every model; public, so no choice enters.

Beside references it takes out of a membership score what membership does not explain (docs/method.md, section 12).
NumPy only.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

THOUSANDTHS = np.array([299, 587, 114], dtype=np.int32)  # ITU-R BT.601
LEVELS = 32  # of grey, in the entropy
COVARIATES = ("mean grey", "deviation of grey", "entropy of grey", "detail", "colour")


def picture_covariates(blocks: Iterable[NDArray[np.uint8]]) -> Floats:
    """(5, n) covariates of n images that come in blocks of (m, S, S, 3).

    Detail is the mean difference of neighbours; colour that between the largest and the least of red, green and blue.
    """
    return np.concatenate([_of_block(block) for block in blocks], axis=1)


def _of_block(images: NDArray[np.uint8]) -> Floats:
    colours = np.ascontiguousarray(images.transpose(3, 0, 1, 2))
    red, green, blue = (plane * share for plane, share in zip(colours, THOUSANDTHS, strict=True))
    grey = (red + green + blue) // 1000
    flat = grey.reshape(len(grey), -1)
    detail = np.abs(np.diff(grey, axis=1)).mean(axis=(1, 2)) + np.abs(np.diff(grey, axis=2)).mean(axis=(1, 2))
    colour = (colours.max(axis=0) - colours.min(axis=0)).mean(axis=(1, 2))
    return np.stack([flat.mean(axis=1), flat.std(axis=1), _entropy(flat), detail, colour])


def _entropy(grey: NDArray[np.int32]) -> Floats:
    """(m, pixels) grey levels to (m,) bits."""
    bins = grey * LEVELS // 256 + LEVELS * np.arange(len(grey))[:, None]
    chances = np.bincount(bins.ravel(), minlength=LEVELS * len(grey)).reshape(len(grey), LEVELS) / grey.shape[1]
    entropy: Floats = -(chances * np.log2(np.where(chances > 0, chances, 1))).sum(axis=1)
    return entropy
