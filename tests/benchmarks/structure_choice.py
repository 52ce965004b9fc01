"""What choosing by propensity scores does, over several choices from one pool of marked files: docs/structure.md.

Run: python -m tests.benchmarks.structure_choice [--each 300] [--seeds 1 2] [--sets NAME …] [--families NAME …]

Eight files for every mark; half of them are candidates and marked once, with the key of structure_auc. Each seed puts
candidates and others into another order, chooses among the candidates by sizes alone and by trees, as a release of one
group does, and has chosen files told from as many others. So a pool of files is marked once for all seeds.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence

import numpy as np

from provenance.embedding.comparison import DRAWS, OTHERS_PER_MARK
from provenance.embedding.places import FREE, Parts, Room, rates, within_reach
from provenance.embedding.propensity import FOLDS, CrossFitted, whole
from provenance.inspection.classifier import tell_apart
from provenance.inspection.features import Features
from provenance.inspection.files import structural_features
from provenance.marks import families
from tests.benchmarks.structure_auc import SEED, mark_of, marked_by, secret_for
from tests.benchmarks.structure_sets import SETS, files_of

SIZE = "bytes: bytes per pixel"


class Pool:
    """Features of all files as they are, in an order of the key's, and of the first half of them with their marks."""

    def __init__(self, name: str, family: str, each: int) -> None:
        files, secret = files_of(name, 8 * each), secret_for(mark_of(family), 0)
        digests = [hashlib.sha256(data).hexdigest() for data in files]
        self.order = sorted(range(len(files)), key=lambda at: secret.placement(digests[at] + "order"))
        self.sources: list[Features] = [structural_features(data) for data in files]
        first, self.marked = set(self.order[: len(files) // 2]), {}
        for at, data in marked_by(secret, files, len(first)):
            if at not in first:
                break
            self.marked[at] = structural_features(data)


def choices(pool: Pool, each: int, seed: int) -> list[str]:
    """By sizes and by trees: candidates looked at for every mark, and the area."""
    rng, half = np.random.default_rng(seed), len(pool.order) // 2
    candidates, others = list(rng.permutation(pool.order[:half])), list(rng.permutation(pool.order[half:]))
    lots = dict(zip(pool.order, map(int, rng.integers(0, 2**62, len(pool.order))), strict=True))
    learnt, tried = others[: OTHERS_PER_MARK * each], [at for at in candidates[:each] if at in pool.marked]
    rows = [*(pool.marked[at] for at in tried), *(pool.sources[at] for at in learnt)]
    truth = [True] * len(tried) + [False] * len(learnt)
    trees = CrossFitted.learnt(rows, truth, [lots[at] % FOLDS for at in [*tried, *learnt]])

    def rank(at: int, row: Features) -> int:
        return int(trees.ranks([row], lots[at] % FOLDS)[0])

    told = []
    for name, score in (("sizes", lambda _, row: whole(float(row[SIZE]))), ("trees", rank)):
        parts = Parts({(0, ""): [score(at, pool.sources[at]) for at in learnt]})
        part = {at: parts.part_of(0, "", score(at, row), lots[at] >> 8 & 0xFFFFFFFF) for at, row in pool.marked.items()}
        chosen, looked = chosen_of([part.get(at, FREE) for at in candidates], parts, each)
        files = [pool.marked[candidates[number]] for number in chosen]
        beside = [pool.sources[at] for at in list(rng.permutation(others))[: len(files)]]
        found = tell_apart([*files, *beside], [True] * len(files) + [False] * len(beside), SEED)
        told.append(f"{name} {looked / each:.2f} draws, {len(chosen)} files, AUC {found.auc:.3f}")
    return told


def chosen_of(part: Sequence[int], parts: Parts, each: int) -> tuple[list[int], int]:
    """Which candidates are marked, and how many were looked at. part: FREE where a candidate carries no mark."""
    shares = parts.shares({"": 1.0})
    room = Room(len(parts)).widen(each * within_reach(shares, DRAWS * rates(part[:each], shares)))
    chosen: list[int] = []
    passed: list[int] = []
    looked = 0
    for looked, own in enumerate(part, 1):
        if own != FREE and room.has_place(own):
            room.take(own)
            chosen.append(looked - 1)
        elif own != FREE:
            passed.append(looked - 1)
        if len(chosen) == each or (len(passed) >= each - len(chosen) and room.is_full):
            break
    return chosen + passed[: each - len(chosen)], looked


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--each", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--sets", nargs="*", default=["CIFAR-10", "JPEG, RGB", "PNG, Pillow"], choices=SETS)
    parser.add_argument("--families", nargs="*", default=["patch", "warp"], choices=list(families()))
    options = parser.parse_args()
    for name in options.sets:
        for family in options.families:
            pool = Pool(name, family, options.each)
            for seed in options.seeds:
                print(name, family, f"seed {seed}:", "; ".join(choices(pool, options.each, seed)), flush=True)


if __name__ == "__main__":
    main()
