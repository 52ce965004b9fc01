"""Patterns of a plain mark's true key and of its decoys, all of which a model is asked about."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audits.statistics.ranktest import decoy_key
from provenance.marks import MarkSecret

STEP = 100  # decoys between two looks whether to go on


def among_decoys(
    secret: MarkSecret,
    decoys: int,
    *,
    digest: str,
    nonce: bytes,
    beacon: bytes,
    number: int = 0,
    step: Callable[[], None],
) -> NDArray[np.uint8]:
    """(m + 1, ...) uint8: the true key's pattern, then those of m decoys, from the same generator and settings.

    digest, nonce: decoys follow from them. number: of the mark set; every set has decoys of its own, derived like its
    true key: with the same ones in two sets, their p-values would depend on each other. step: may raise to end it.
    """
    patterns = [secret.patterns[0]]
    for index in range(decoys):
        if index % STEP == 0:
            step()
        key = decoy_key(digest, nonce, index)
        patterns.append(MarkSecret.derive(key, beacon, secret.settings, number).patterns[0])
    return np.stack(patterns)
