"""Which blocks of a keyed choice are kept for a second audit: drawn in public, whichever alternative stayed home.

docs/method.md, section 12.10.
"""

import numpy as np

from provenance.keying import keyed_permutation, philox
from provenance.marks.blocking_file import ImageBlocks
from provenance.marks.keyed_choice import Ints, KeyedChoice
from provenance.marks.versions import VERSIONS
from provenance.marks.withheld import WITHHELD


def part_of(choice: KeyedChoice, blocks: ImageBlocks, commitment: bytes, beacon: bytes, places: range) -> KeyedChoice:
    """The blocks that stand at these places among the used ones in a public order, still in the key's own.

    places: from 0, of the used blocks.
    """
    size = blocks.block_size
    used = blocks.block_of[choice.positions[::size]].astype(np.int64)
    taken = _taken(used, blocks.blocks, philox(commitment, beacon, f"{WITHHELD}/second-audit"), places)
    return KeyedChoice(
        positions=choice.positions.reshape(-1, size)[taken].reshape(-1),
        block_of=np.repeat(np.arange(len(taken), dtype=np.int64), size),
        home=choice.home[taken] % size + size * np.arange(len(taken), dtype=np.int64),
    )


def pictures_at(positions: Ints, images: int, commitment: bytes, beacon: bytes, places: range) -> Ints:
    """The same of pictures in two versions: which of those at these positions of the manifest, ascending.

    The order is drawn over all images of the version. positions (B,): of each picture's first file.
    """
    return _taken(positions, images, philox(commitment, beacon, f"{VERSIONS}/second-audit"), places)


def _taken(used: Ints, there: int, rng: np.random.Generator, places: range) -> Ints:
    """Which of the used ones, by number, stand at these places among them in a random order of all that are there.

    It is drawn from what is published, the commitment (32 bytes) and the beacon: everybody can draw it, and which
    alternative stays home does not enter.
    """
    order = keyed_permutation(rng, there)
    public = np.empty(len(order), dtype=np.int64)
    public[order] = np.arange(len(order))
    place = np.argsort(np.argsort(public[used]))
    return np.flatnonzero((place >= places.start) & (place < places.stop))
