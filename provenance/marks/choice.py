"""Patterns far apart: a greedy choice from a public pool, of which the key draws only the first."""

import numpy as np

from provenance.keying import keyed_permutation


def far_apart(distances: np.ndarray, count: int, rng: np.random.Generator) -> list[int]:
    """Positions of `count` pool members, each as far as possible from those before it (Gonzalez, 1985).

    Args:
        distances: (P, P) float64, symmetric, the same bits on every machine; ties fall to the smaller position.
        rng: draws the first member; the rest follows from it.

    Raises: ValueError where the pool has fewer than `count` members.
    """
    if count > len(distances):
        raise ValueError(f"The pool has {len(distances)} patterns; {count} were asked for.")
    chosen = [int(keyed_permutation(rng, len(distances))[0])]
    nearest = distances[chosen[0]].copy()
    while len(chosen) < count:
        nearest[chosen[-1]] = -1.0
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, distances[chosen[-1]])
    return chosen
