"""How much of a mark is left, and how much a file differs: exact, for any rows and the highest levels."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from provenance.embedding.survival import mean_change, psnr, survival

shapes = st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3, 4]))


@given(shape=shapes, dtype=st.sampled_from([np.uint8, np.uint16]), gaps=st.booleans(), seed=st.integers(0, 99))
@budget(max_examples=40, deadline=None)
def test_measures_are_those_of_whole_numbers_without_end(shape, dtype, gaps, seed):
    height, width, channels = shape
    peak = int(np.iinfo(dtype).max)
    drawn = np.random.default_rng(seed).integers(0, peak, (3, height, width, channels + gaps), dtype, endpoint=True)
    before, wanted, found = drawn[..., :channels]
    change, left = (image.astype(object) - before.astype(object) for image in (wanted, found))
    energy = (change**2).sum()
    assert mean_change(before, wanted) == abs(change).sum() / before.size
    assert survival(before, wanted, found) == ((change * left).sum() / energy if energy else 0.0)
    assert psnr(before, wanted, peak) == (10 * math.log10(peak**2 * before.size / energy) if energy else math.inf)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_band_of_the_farthest_levels_does_not_overflow(dtype):
    black = np.zeros((600, 1000, 1), dtype)
    white = np.full_like(black, np.iinfo(dtype).max)
    assert mean_change(black, white) == np.iinfo(dtype).max
    assert survival(white, black, white) == 0
    assert survival(white, black, black) == 1
    assert psnr(black, white, np.iinfo(dtype).max) == 0
