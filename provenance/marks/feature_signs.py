"""Which side of 512 planes an image's features lie on: 64 bytes an image that say which images are near each other.

The part of planes that separate two images grows with the angle between their features (Charikar, STOC 2002). The first
ones cut along the principal axes of a sample, so images with the same first signs are coarsely alike; the others lie at
random.
"""

import numpy as np
from numpy.typing import NDArray

from provenance.marks.directions import in_blocks, prepared, readable_rows, sampled

WORDS = 8  # of 64 signs
AXES = 64  # at most


def feature_signs(features: NDArray[np.floating], seed: int) -> NDArray[np.uint64]:
    """(n, WORDS) of features (n, d), in memory or mapped; all zero for a row that is not finite or all zero.

    Equal features and seed give equal signs on one machine; their file is what everybody goes by.
    """
    from threadpoolctl import threadpool_limits

    signs = np.zeros((len(features), WORDS), dtype=np.uint64)
    with threadpool_limits(1):
        rows = np.flatnonzero(readable_rows(features))
        if not len(rows):
            return signs
        sample, mean = sampled(features, rows, seed)
        planes = _planes(sample, seed)
        del sample
        for start, block in in_blocks(features, rows):
            above = prepared(block, mean) @ planes > 0
            above[:, -1] = True  # so that nothing readable is all zero
            packed = np.packbits(above, axis=1)
            signs[rows[start : start + len(block)]] = packed.view(">u8")
    return signs


def _planes(sample: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """(d, 64 * WORDS) normals, those of the principal axes first, largest first."""
    width = sample.shape[1]
    drawn = np.random.default_rng(seed).standard_normal((width, 64 * WORDS)).astype(np.float32)
    spread = np.linalg.eigh(sample.T.astype(np.float64) @ sample.astype(np.float64))[1][:, ::-1]
    axes = spread[:, : min(AXES, width)]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
    drawn[:, : axes.shape[1]] = axes * np.sign(largest)  # an axis has two directions
    return drawn
