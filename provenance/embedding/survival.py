"""How much of a mark is left in the written file, and how much the file differs from its source.

All sums are of integers, so the numbers are the same on every machine and with any number of threads.
"""

import math
from collections.abc import Iterator

import numpy as np

MIN_SURVIVAL = 0.7  # of the pattern's energy (docs/method.md, section 2.5)


def survival(source: np.ndarray, intended: np.ndarray, written: np.ndarray) -> float:
    """The part of the intended change that the written file carries: <w - s, i - s> / <i - s, i - s>.

    Three (h, w, C) arrays of one integer type over the mark's region: before, as it should be, as decoded. 1 for a
    perfect copy, 0 for a mark that is gone or was never intended.
    """
    from provenance.embedding.sums import energies

    energy, common = energies(*map(_flat, (source, intended, written)))
    return common / energy if energy else 0.0


def mean_change(before: np.ndarray, after: np.ndarray) -> float:
    """Mean absolute difference of two (h, w, C) integer arrays, in levels."""
    from provenance.embedding.sums import changes

    return changes(_flat(before), _flat(after)) / before.size


def psnr(first: np.ndarray, second: np.ndarray, peak: int = 255) -> float:
    """Peak signal-to-noise ratio in dB over all pixels and channels; infinite for equal images."""
    return psnr_of(squared_error(first, second), first.size, peak)


def psnr_of(squared: int, numbers: int, peak: int = 255) -> float:
    """The same from a sum of so many squared differences."""
    return 10 * math.log10(peak**2 * numbers / squared) if squared else math.inf


def squared_error(first: np.ndarray, second: np.ndarray) -> int:
    """Sum of squared differences of two (h, w, C) integer arrays."""
    from provenance.embedding.sums import squares

    return int(squares(_flat(first), _flat(second)))


def bands(shape: tuple[int, ...], numbers: int) -> Iterator[slice]:
    """Rows of an (h, w, C) array, as many at a time as hold about so many numbers; one at least."""
    step = max(1, numbers // math.prod(shape[1:]))
    return (slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step))


def _flat(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1)
