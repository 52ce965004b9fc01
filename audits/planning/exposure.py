"""Which blocks of a keyed choice a plan asks about, which it keeps for a second audit, and which were asked before."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from provenance.wording import count, counted

MOST_KEPT = 0.5  # of the blocks


def blocks_kept(blocks: int, share: float) -> int:
    """How many of a release's blocks a plan with this share keeps."""
    return math.floor(share * blocks + 1e-9)


def places_asked(blocks: int, share: float, asks_kept: bool) -> range:
    """Places in the public order of blocks that a plan asks about: the kept ones are the last."""
    first = blocks - blocks_kept(blocks, share)
    return range(first, blocks) if asks_kept else range(first)


def places_exposed(asked: range, before: Iterable[range], elsewhere: int = 0) -> int:
    """How many of the places asked about were at most asked about before.

    before: by each earlier run about the same copy; elsewhere: blocks of other copies of the same images, any of which
    may be any of these.
    """
    seen = np.zeros(asked.stop, dtype=bool)
    for places in before:
        seen[places.start : places.stop] = True
    return min(int(seen[asked.start :].sum()) + elsewhere, len(asked))


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """Of one copy's blocks. kept: for a second audit; exposed: at most so many of those asked about were so before.

    runs: of the same suspect, whatever its name and role, that asked about the same images before.
    """

    blocks: int
    kept: int
    asks_kept: bool
    exposed: int
    runs: int

    @property
    def asked(self) -> int:
        return self.kept if self.asks_kept else self.blocks - self.kept

    @property
    def words(self) -> str:
        """For pages and reports."""
        if not self.kept:
            part = f"all {count(self.blocks)}"
        elif self.asks_kept:
            part = f"the {count(self.kept)} of {count(self.blocks)} that are kept for a second audit"
        else:
            part = f"{count(self.asked)} of {count(self.blocks)}; {count(self.kept)} are kept for a second audit"
        if not self.exposed:
            return f"{part}; no earlier run asked this suspect about any of them"
        return (
            f"{part}; up to {count(self.exposed)} of those asked about are exposed, since "
            f"{counted(self.runs, 'earlier run')} asked this suspect about them: whoever answers may know their views"
        )
