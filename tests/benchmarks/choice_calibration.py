"""Error rates of keyed choices alone, 10,008 pairs of null model and key a line: tables of docs/error-rates.md.

Run: python -m tests.benchmarks.choice_calibration             (minutes on one core; a line per round on stderr)
     python -m tests.benchmarks.choice_calibration --pairs 100

As in `calibration_full`, but nothing is asked that only other tests need. With an early stop: p pays for three looks,
and looking goes on to the end, which is the worst that any rule of ending can do.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict

import numpy as np

from audits.calibration import BenchSize, CalibrationTable, PairRules
from audits.calibration.bench import draw_bench
from audits.calibration.choice_pairs import CHOICE, choices_of_pair, fresh_choice, others_of_choice
from audits.calibration.null_models import KINDS, null_models
from audits.calibration.responses import membership_of
from audits.calibration.table import make_row
from audits.pilots.threads import linear_algebra_threads
from audits.statistics.choices import Blocks, choice_test
from audits.statistics.density import LEVELS
from audits.statistics.looks import blocks_at, over_looks
from audits.statistics.membership import reference_residual
from provenance.marks import MarkSettings
from tests.benchmarks.calibration_full import procedural_stock

GROUPS, PER_GROUP, VIEWS, MODELS, ROUNDS, LOOKS = 6, 16, 6, 6, 12, 3
SIZE = BenchSize(groups=GROUPS, probes=2, per_group=PER_GROUP, sets=1, keys=1, views=0, choice_views=VIEWS)
MARKS = MarkSettings(groups=tuple(f"group {g}" for g in range(GROUPS)), opacity=1.0)
STOPPED = f"{CHOICE}, {LOOKS} looks"


def looked(scores: np.ndarray, others: list[np.ndarray], rng: np.random.Generator) -> float:
    """p that pays for three looks, all of which are made."""
    chosen, seen = fresh_choice(rng, len(scores)), []
    blocks = Blocks(chosen.block_of, chosen.home)
    for look in range(1, LOOKS + 1):
        part = blocks.first(blocks_at(look, LOOKS, len(blocks)))
        positions = chosen.positions[: len(part.block_of)]
        explaining = np.stack([other[positions] for other in others]) if others else np.zeros((0, len(positions)))
        seen.append(choice_test(reference_residual(scores[positions], explaining, part.block_of), part).p)
    return over_looks(seen, LOOKS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10_008)
    pairs = parser.parse_args().pairs
    images, labels = procedural_stock()
    found: dict[tuple[str, str, bool, bool], list[tuple[float, int | None]]] = defaultdict(list)
    rules = PairRules()
    for number in range(ROUNDS):
        begun = time.perf_counter()
        bench = draw_bench(images, labels, MARKS, SIZE, 100 + number)
        with linear_algebra_threads(1):
            models = null_models(MODELS, 100 + number, bench.spare_images, bench.spare_labels, KINDS)
            scored = [membership_of(model, bench) for model in models]
        rng = np.random.default_rng([2605, number])
        for level in LEVELS:
            able = [one[level] for one in scored if level in one]
            for _ in range(pairs // ROUNDS):
                suspect, *others = (able[i] for i in rng.permutation(len(able))[: rules.references + 1])
                for given in ([], others):
                    for test, drawn in choices_of_pair(suspect, given, rules.permutations, rng):
                        found[test, level, bool(given), True].append(drawn)
                    p = looked(suspect["density"], [other["density"] for other in given], rng)
                    found[STOPPED, level, bool(given), True].append((p, None))
                for other in others_of_choice(suspect, others, rng):
                    found[other.test, level, bool(other.shadows), False].append(other.drawn)
        print(f"round {number + 1}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    rows = [
        make_row(test, level, "any", references, exact, [p for p, _ in drawn], [grid for _, grid in drawn])
        for (test, level, references, exact), drawn in sorted(found.items())
    ]
    print(CalibrationTable(tuple(rows), {}).to_markdown())


if __name__ == "__main__":
    main()
