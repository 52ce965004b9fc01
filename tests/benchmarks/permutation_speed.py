"""How long 10^6 random permutations of ten groups take, against one NumPy draw of the same permutations.

Run: python -m tests.benchmarks.permutation_speed   (goal: under 2 s)
"""

from __future__ import annotations

import time

import numpy as np

from audits.permutation import permutation_test, philox_from


def best_of(repeats: int, call) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    generator = np.random.default_rng(0)
    rows = np.tile(np.arange(10), (1_000_000, 1))
    bare = best_of(3, lambda: generator.permuted(rows, axis=1))
    print(f"bare draw of 10^6 permutations of 10: {bare:.2f} s")
    for groups, references in ((10, 0), (10, 3), (50, 3), (9, 0)):
        matrices = [generator.normal(size=(groups, groups)) for _ in range(references + 1)]
        true = generator.permutation(groups)
        seconds = best_of(
            3, lambda m=matrices, t=true: permutation_test(m[0], t, 1_000_000, philox_from("benchmark", "x"), m[1:])
        )
        print(f"G = {groups:2d}, {references} references: {seconds:.2f} s, {seconds / bare:.2f} x the bare draw")


if __name__ == "__main__":
    main()
