"""The perceptual hash PDQ of one image (Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing
Algorithm", 2019): 256 bits from the DCT of its luminance, and a quality from 0 to 100, low where it is flat.

Written after the paper and its reference code, which is published for Linux as source alone; tests hold it to hashes
that the reference gave.
"""

from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEAST_EDGE = 5  # pixels; smaller images have no hash, and quality 0
_SIDE, _KEPT = 64, 16
_WEIGHTS = (0.299, 0.587, 0.114)

Floats = NDArray[np.float64]


class Pdq(NamedTuple):
    """bits: (256,) bool. quality: 0 to 100; PDQ's authors throw hashes below 50 away."""

    bits: NDArray[np.bool_]
    quality: int


def pdq(pixels: NDArray[np.uint8]) -> Pdq:
    """The hash of (H, W, 3) uint8 RGB."""
    if min(pixels.shape[:2]) < LEAST_EDGE:
        return Pdq(np.zeros(_KEPT * _KEPT, dtype=np.bool_), 0)
    red, green, blue = (weight * pixels[:, :, channel] for channel, weight in enumerate(_WEIGHTS))
    luma = red + green + blue
    small = _reducing(luma.shape[0]) @ luma @ _reducing(luma.shape[1]).T
    waves = (_dct() @ small @ _dct().T).ravel()
    return Pdq(waves > np.sort(waves)[len(waves) // 2 - 1], _quality(small))


@lru_cache(maxsize=64)
def _reducing(length: int) -> Floats:
    """(64, length): two means over windows of about 1/128 of the length, cut off at the edges; then 64 of them."""
    full = (length + 2 * _SIDE - 1) // (2 * _SIDE)
    place, stop = np.arange(length), np.arange(length)[:, None] + (full + 2) // 2
    inside = (place < stop) & (place >= stop - full)
    means = inside / inside.sum(axis=1, keepdims=True)
    chosen = ((np.arange(_SIDE) + 0.5) * length / _SIDE).astype(np.int64)
    found: Floats = means[chosen] @ means
    return found


def _quality(small: Floats) -> int:
    """The sum of differences between neighbours, in whole hundredths of the range of grey levels."""
    steps = (np.diff(small, axis=axis) * 100 / 255 for axis in (0, 1))
    return min(int(sum(np.abs(np.trunc(step)).sum() for step in steps)) // 90, 100)


@cache
def _dct() -> Floats:
    """(16, 64): the rows 1 to 16 of the DCT-II, without the constant."""
    row, column = np.arange(1, _KEPT + 1)[:, None], np.arange(_SIDE)[None, :]
    found: Floats = np.sqrt(2 / _SIDE) * np.cos(np.pi / (2 * _SIDE) * row * (2 * column + 1))
    return found
