"""How many pixels waves need: what changes faster than pixels can follow is lost, or turns into something else."""

import math
from collections.abc import Iterable

from provenance.marks.waves import Wave

# Two pixels to a cycle are the limit, at which some waves vanish whole. With 2.5, bicubic resizing of 500 pixels leaves
# the fastest wave half of its contrast and the median one 0.8; with 3 it would be 0.7 and 0.9, with 2.25 0.4 and 0.8.
PIXELS_PER_CYCLE = 2.5


def least_edge_of(waves: Iterable[Wave], periods: int) -> int:
    """Pixels of the short edge, of an image or of a model's input, that carry every wave of a pool.

    periods: how many tiles span the short edge.
    """
    fastest = max(max(abs(wave.down), abs(wave.across)) for wave in waves)
    return math.ceil(PIXELS_PER_CYCLE * fastest * periods)
