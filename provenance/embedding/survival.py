"""How much of a mark is left in the written file, and how much the file differs from its source.

All sums are of integers, so the numbers are the same on every machine and with any number of threads.
"""

import math
from collections.abc import Iterator

import numpy as np

MIN_SURVIVAL = 0.7  # of the pattern's energy (docs/method.md, section 2.5)
MAX_SURVIVAL = 1.3  # a mark that quantisation made stronger shows where a weaker one was meant
BAND = 1 << 18  # numbers compared at a time: large images then need no more memory than small ones


def survival(source: np.ndarray, intended: np.ndarray, written: np.ndarray) -> float:
    """The part of the intended change that the written file carries: <w - s, i - s> / <i - s, i - s>.

    Three (h, w, C) arrays of one integer type over the mark's region: before, as it should be, as decoded. 1 for a
    perfect copy, 0 for a mark that is gone or was never intended.
    """
    from provenance.embedding import sums

    energy = common = 0
    for parts in _bands(source, intended, written):
        of_band = sums.agreement(*parts)
        energy, common = energy + int(of_band[0]), common + int(of_band[1])
    return common / energy if energy else 0.0


def mean_change(before: np.ndarray, after: np.ndarray) -> float:
    """Mean absolute difference of two (h, w, C) integer arrays, in levels."""
    from provenance.embedding import sums

    total = sum(int(sums.distance(*parts)) for parts in _bands(before, after))
    return total / before.size


def psnr(first: np.ndarray, second: np.ndarray, peak: int = 255) -> float:
    """Peak signal-to-noise ratio in dB over all pixels and channels; infinite for equal images."""
    return psnr_of(squared_error(first, second), first.size, peak)


def psnr_of(squared: int, numbers: int, peak: int = 255) -> float:
    """The same from a sum of so many squared differences."""
    return 10 * math.log10(peak**2 * numbers / squared) if squared else math.inf


def squared_error(first: np.ndarray, second: np.ndarray) -> int:
    """Sum of squared differences of two (h, w, C) integer arrays."""
    from provenance.embedding import sums

    return sum(int(sums.squares(*parts)) for parts in _bands(first, second))


def _bands(*images: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Some rows at a time of (h, w, C) arrays of one shape, flat and read only; copies where rows have gaps."""
    step = max(1, BAND // math.prod(images[0].shape[1:]))
    for start in range(0, len(images[0]), step):
        parts = tuple(np.ascontiguousarray(image[start : start + step]).reshape(-1) for image in images)
        for part in parts:
            part.flags.writeable = False
        yield parts
