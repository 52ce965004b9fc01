"""Blocks of images made by chance: what a key may choose from."""

import numpy as np

from provenance.marks import ImageBlocks
from provenance.marks.blocking_file import NO_BLOCK


def random_blocks(seed: int, blocks: int, size: int, most: int = 3, outside: int = 5) -> ImageBlocks:
    """Units of 1 to `most` images, scattered over the manifest, `outside` of them in no block."""
    rng = np.random.default_rng(seed)
    units = blocks * size + outside
    block_of_unit = np.full(units, NO_BLOCK)
    block_of_unit[rng.permutation(units)[: blocks * size]] = np.repeat(np.arange(blocks), size)
    images = rng.permutation(np.repeat(np.arange(units), rng.integers(1, most + 1, units)))
    _, first, where = np.unique(images, return_index=True, return_inverse=True)
    numbered = np.argsort(np.argsort(first))[where]
    return ImageBlocks(numbered.astype(np.int32), block_of_unit[images].astype(np.int32))
