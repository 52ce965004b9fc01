"""PDQ as its authors compute it: hashes that their code gave (pdqhash 0.2.8) for pictures that are drawn here."""

import numpy as np
import pytest

from provenance.near_duplicates.pdq import pdq
from tests.provenance.near_duplicates.test_hashing import scene

# Seed, width and height of a scene; its hash, row by row, and its quality.
KNOWN = [
    (1, 320, 240, "ebf5a05b7ae4682798dc8a1f64ffd20c19cc14de9c1d0c2971e0cf60e296457e", 100),
    (2, 97, 333, "cee16d85394e07763637273769245752a32af873de5873ca69330d8c5898aaa5", 100),
    (3, 33, 40, "df27b88c56dbc6c9432faa24b0d45f59b94c55f0319f53fa2032ae1ec6a52464", 100),
    (4, 512, 384, "a168179e39e023732c63e04ac337dc4aa6269803cfc1d7ed393767b6398eb711", 100),
    (5, 64, 64, "9cca894adcca5a5bd55bc69d045febc9a3a197e041a625a73e0631f25e67262a", 100),
]


@pytest.mark.parametrize(("seed", "width", "height", "known", "quality"), KNOWN)
def test_hashes_are_those_of_the_reference(seed, width, height, known, quality):
    found = pdq(np.asarray(scene(seed, width, height)))
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(known), dtype=np.uint8)).astype(bool)
    assert (found.bits != bits).sum() <= 2  # the reference rounds to 32 bits: coefficients at the median may fall over
    assert abs(found.quality - quality) <= 1


def test_layout_in_memory_does_not_matter():
    """The reference's Python binding reads an array in Fortran's order as if it were in C's."""
    image = np.asarray(scene(6))
    assert (pdq(np.asfortranarray(image)).bits == pdq(image).bits).all()


@pytest.mark.parametrize("shape", [(1, 1), (4, 900), (900, 4)])
def test_images_that_are_too_small_have_quality_0(shape):
    assert pdq(np.zeros((*shape, 3), dtype=np.uint8)).quality == 0
