"""What a key decides in a withheld set: which blocks are used, and which alternative of each stays home.

How both derive from key and beacon: docs/method.md, sections 2.2 and 12.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from provenance.keying import keyed_permutation, philox
from provenance.marks.blocking_file import ImageBlocks
from provenance.marks.errors import SettingsError
from provenance.marks.withheld import WITHHELD, WithheldSettings

Ints = NDArray[np.int64]


@dataclass(frozen=True, repr=False)
class KeyedChoice:
    """The alternatives of all blocks that a key uses, block by block in the key's order, and which stay home.

    positions (n,) int64: in the manifest, of the image that stands for each alternative (the first of its unit).
    block_of (n,) int64: from 0, ascending. home (B,) int64: which of the n alternatives stays home, one of each block.
    """

    positions: Ints
    block_of: Ints
    home: Ints

    def __len__(self) -> int:
        """B, the blocks."""
        return len(self.home)

    def __repr__(self) -> str:
        return f"KeyedChoice(<{len(self)} blocks>)"

    def images(self, blocks: ImageBlocks) -> Ints:
        """Positions of all images of all alternatives, ascending: no other mark set may use one."""
        return blocks.images_of(blocks.unit_of[self.positions].astype(np.int64))

    def images_at_home(self, blocks: ImageBlocks) -> Ints:
        """Positions of all images that stay home, ascending."""
        return blocks.images_of(blocks.unit_of[self.positions[self.home]].astype(np.int64))


def choose(key: bytes, beacon: bytes, settings: WithheldSettings, blocks: ImageBlocks, number: int = 0) -> KeyedChoice:
    """What a key and its beacon decide among the blocks of a version; the same ones always decide the same.

    number: of the set among all of its release, from 0. Raises SettingsError where the blocks are of another size, and
    KeyingError for a malformed key or beacon.
    """
    if not blocks.blocks:
        raise SettingsError("There is no block to choose from: make smaller blocks, or units of fewer images.")
    size = settings.block_size
    if blocks.block_size != size:
        raise SettingsError(f"The blocks have {blocks.block_size} alternatives, and the settings say {size}.")
    own = f"set-{number + 1}/{WITHHELD}" if number else WITHHELD
    count = settings.blocks_used(len(blocks), blocks.alternatives.size, blocks.files)
    order = keyed_permutation(philox(key, beacon, f"{own}/order"), blocks.blocks)
    units = blocks.alternatives[order[:count]]
    picked = _uniform(philox(key, beacon, f"{own}/home"), count, size)
    return KeyedChoice(
        positions=blocks.first_of_unit[units.reshape(-1)],
        block_of=np.repeat(np.arange(count, dtype=np.int64), size),
        home=np.arange(count, dtype=np.int64) * size + picked,
    )


def _uniform(rng: np.random.Generator, count: int, size: int) -> Ints:
    """(count,) numbers below `size`, all equally likely: words past the last whole multiple of it are drawn anew."""
    limit = 2**64 - 2**64 % size
    words = rng.bit_generator.random_raw(count)
    while limit < 2**64 and (late := np.flatnonzero(words >= np.uint64(limit))).size:
        words[late] = rng.bit_generator.random_raw(len(late))
    return (words % np.uint64(size)).astype(np.int64)
