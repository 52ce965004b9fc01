"""Which blocks of a keyed choice are kept for a second audit: drawn in public, whichever alternative stayed home.

docs/method.md, section 12.10.
"""

import numpy as np

from provenance.keying import keyed_permutation, philox
from provenance.marks.blocking_file import ImageBlocks
from provenance.marks.keyed_choice import KeyedChoice
from provenance.marks.withheld import WITHHELD

PURPOSE = f"{WITHHELD}/second-audit"


def part_of(choice: KeyedChoice, blocks: ImageBlocks, commitment: bytes, beacon: bytes, places: range) -> KeyedChoice:
    """The blocks that stand at these places among the used ones in a public order, still in the key's own.

    The order is drawn over all blocks of the version from what is published, the commitment (32 bytes) and the beacon:
    everybody can draw it, and which alternative stays home does not enter. places: from 0, of the used blocks.
    """
    size = blocks.block_size
    order = keyed_permutation(philox(commitment, beacon, PURPOSE), blocks.blocks)
    public = np.empty(len(order), dtype=np.int64)
    public[order] = np.arange(len(order))
    place = np.argsort(np.argsort(public[blocks.block_of[choice.positions[::size]]]))
    taken = np.flatnonzero((place >= places.start) & (place < places.stop))
    return KeyedChoice(
        positions=choice.positions.reshape(-1, size)[taken].reshape(-1),
        block_of=np.repeat(np.arange(len(taken), dtype=np.int64), size),
        home=choice.home[taken] % size + size * np.arange(len(taken), dtype=np.int64),
    )
