"""How much of a mark is left in the written file, and how much the file differs from its source.

All sums are of integers, so the numbers are the same on every machine and with any number of threads.
"""

import math

import numpy as np

MIN_SURVIVAL = 0.7  # of the pattern's energy (method, section 2)
ROWS = 512  # how many rows are compared at a time, to keep memory flat for large images


def survival(source: np.ndarray, intended: np.ndarray, written: np.ndarray) -> float:
    """The part of the intended change that the written file carries: <w - s, i - s> / <i - s, i - s>.

    Args: three (h, w, C) arrays of the same integer type over the mark's region: before, as it should be, as decoded
    from the written file.

    Returns: 1 for a perfect copy, 0 for a mark that is gone; 0 where the intended change is nothing at all.
    """
    wanted = intended.astype(np.int64) - source
    found = written.astype(np.int64) - source
    energy = int((wanted * wanted).sum())
    return int((wanted * found).sum()) / energy if energy else 0.0


def psnr(first: np.ndarray, second: np.ndarray, peak: int = 255) -> float:
    """Peak signal-to-noise ratio in dB over all pixels and channels; infinite for equal images."""
    total = 0
    for start in range(0, len(first), ROWS):
        difference = first[start : start + ROWS].astype(np.int64) - second[start : start + ROWS]
        total += int((difference * difference).sum())
    return 10 * math.log10(peak**2 * first.size / total) if total else math.inf
