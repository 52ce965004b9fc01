"""Rows of features as directions from their mean: how clusters and signs look at them. NumPy alone.

Streamed: at most a sample and one block are held beside what is given.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SAMPLE_NUMBERS = 2**25
SAMPLE_ROWS = 2**17
BLOCK = 8192  # rows per step of a pass: fixed, because the last digits of a product depend on its shape


def readable_rows(features: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(n,) bool: the row is finite and not all zero."""
    readable = np.empty(len(features), dtype=bool)
    for start in range(0, len(features), BLOCK):
        block = features[start : start + BLOCK]
        readable[start : start + BLOCK] = np.isfinite(block).all(axis=1) & (block != 0).any(axis=1)
    return readable


def sampled(
    features: NDArray[np.floating], rows: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(s, d) prepared rows drawn at random, and the (d,) mean of their directions, by which all rows are centred."""
    most = max(1, min(SAMPLE_ROWS, SAMPLE_NUMBERS // max(features.shape[1], 1)))
    drawn = rows
    if len(rows) > most:
        drawn = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    sample = np.empty((len(drawn), features.shape[1]), dtype=np.float32)
    for start, block in in_blocks(features, drawn):
        sample[start : start + len(block)] = _directions(block)
    mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
    for start in range(0, len(sample), BLOCK):
        sample[start : start + BLOCK] = prepared(sample[start : start + BLOCK], mean)
    return sample, mean


def _directions(block: NDArray[np.floating]) -> NDArray[np.float32]:
    largest = np.abs(block).max(axis=1, keepdims=True).astype(np.float32)
    scaled = block.astype(np.float32) / np.where(largest > 0, largest, 1)  # squares of tiny numbers would vanish
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.where(length > 0, length, 1), dtype=np.float32)


def prepared(block: NDArray[np.floating], mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """(B, d) float32 of unit length, centred in between; a row that is the mean itself stays 0."""
    return _directions(_directions(block) - mean)


def in_blocks(features: NDArray[np.floating], rows: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.floating]]]:
    """(place of the first in `rows`, (B, d) features) for all `rows`, which ascend."""
    for start, part in in_parts(rows):
        yield start, features[part]


def in_parts(values: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    for start in range(0, len(values), BLOCK):
        yield start, values[start : start + BLOCK]
