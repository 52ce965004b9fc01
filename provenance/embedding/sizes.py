"""Which file sizes are usual in a version: a marked file that stands out by its size is found by listing a folder."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from provenance.intake.manifest import Manifest

LEAST = 1000  # files of a format; the outermost hundredth of fewer is chance
SAMPLE = 20_000  # files that are asked, evenly spread over the manifest
OUTERMOST = 0.01  # of either side

UNUSUAL = "The marked file would be larger or smaller than nearly all others, and its source is not."


@dataclass(frozen=True)
class UsualSizes:
    """Bounds of bytes per pixel by format, for formats with enough files."""

    bounds: dict[str, tuple[float, float]]

    @classmethod
    def of(cls, manifest: Manifest) -> "UsualSizes":
        """The 1st and 99th percentile over the manifest, or over a sample of it."""
        count = len(manifest)
        found: dict[str, list[float]] = {}
        if count >= LEAST:
            for number in range(min(count, SAMPLE)):
                entry = manifest.entry(number * count // min(count, SAMPLE))
                found.setdefault(entry.format, []).append(entry.size / (entry.width * entry.height))
        return cls({name: _bounds(sizes) for name, sizes in found.items() if len(sizes) >= LEAST})

    def stands_out(self, name: str, pixels: int, before: int, after: int) -> bool:
        """Whether a file of `before` bytes is of usual size and one of `after` bytes is not. name: its format."""
        if name not in self.bounds:
            return False
        low, high = self.bounds[name]
        return low <= before / pixels <= high and not low <= after / pixels <= high


def _bounds(sizes: Sequence[float]) -> tuple[float, float]:
    low, high = np.quantile(sizes, [OUTERMOST, 1 - OUTERMOST])
    return float(low), float(high)
