"""How long 10^6 random permutations of ten groups take, against one NumPy draw of the same permutations.

The same for permutations restricted to blocks of groups, and with some pairs of a pattern and a group forbidden.
Processor time of the one thread that works, so that other work on the machine counts little.

Run: python -m tests.benchmarks.permutation_speed   (goal: under 2 s)
"""

from __future__ import annotations

import time

import numpy as np

from audits.statistics.permutation import permutation_test, philox_from
from audits.statistics.restricted import restricted_test
from provenance.marks.restriction import Restriction


def best_of(repeats: int, call) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def restricted_to(blocks: list[int], forbidden: int, generator: np.random.Generator) -> Restriction:
    """Blocks, and some pairs of a pattern and a group that are forbidden; the true assignment is the identity."""
    groups = len(blocks)
    allowed = np.ones(groups * groups, dtype=bool)
    pairs = np.flatnonzero(~np.eye(groups, dtype=bool))
    allowed[generator.choice(pairs, forbidden, replace=False)] = False
    return Restriction.within(blocks, allowed.reshape(groups, groups) if forbidden else None)


def main() -> None:
    generator = np.random.default_rng(0)
    rows = np.tile(np.arange(10), (1_000_000, 1))
    bare = best_of(3, lambda: generator.permuted(rows, axis=1))
    print(f"bare draw of 10^6 permutations of 10: {bare:.2f} s")
    for groups, references in ((10, 0), (10, 3), (40, 0), (50, 3), (9, 0)):
        matrices = [generator.normal(size=(groups, groups)) for _ in range(references + 1)]
        true = generator.permutation(groups)
        seconds = best_of(
            3, lambda m=matrices, t=true: permutation_test(m[0], t, 1_000_000, philox_from("benchmark", "x"), m[1:])
        )
        print(f"G = {groups:2d}, {references} references: {seconds:.2f} s, {seconds / bare:.2f} x the bare draw")
    for name, blocks, forbidden in (
        ("5 + 5 groups", [0] * 5 + [1] * 5, 0),
        ("10 groups, 10 pairs forbidden", [0] * 10, 10),
        ("20 + 20 groups", [0] * 20 + [1] * 20, 0),
        ("40 groups, 40 pairs forbidden", [0] * 40, 40),
    ):
        restriction, matrix = restricted_to(blocks, forbidden, generator), generator.normal(size=(len(blocks),) * 2)
        true = np.arange(len(blocks))
        results = []
        seconds = best_of(
            3,
            lambda m=matrix, t=true, r=restriction, kept=results: kept.append(
                restricted_test(m, t, r, 1_000_000, philox_from("benchmark", "x"))
            ),
        )
        print(f"{name}: {results[0].permutations:,} permutations, {seconds:.2f} s")


if __name__ == "__main__":
    main()
