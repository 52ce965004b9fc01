"""Stronger scores: what references can explain of a suspect's score, tried on looks that the study kept.

Nothing here knows a choice: a score is regressed within blocks on what references say, then tested as it is everywhere.

    python -m tests.benchmarks.study.stronger --cifar cifar10.zip --work FOLDER --cells 1000-500-w32
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from audits.statistics.choices import Blocks, choice_test
from audits.statistics.density import LEVELS
from audits.statistics.membership import reference_residual
from tests.benchmarks.study.cells import CELLS, Cell
from tests.benchmarks.study.lines import choice_of
from tests.benchmarks.study.looking import CROPS, read_scores
from tests.benchmarks.study.tables import Found, Pool, references_at

Floats = np.ndarray


def explaining_sets(level: str, score: str, references: list[dict[str, Floats]], pictures: Floats) -> dict[str, Floats]:
    """By name, (K, n) of what explains: nothing, the picture, the same score of references, or all that they say."""
    same = [one[f"{level}/{score}"] for one in references]
    every = [values for one in references for values in one.values()]
    return {
        "nothing": np.zeros((0, pictures.shape[1])),
        "the picture": pictures,
        "same score": np.stack(same),
        "same score, picture": np.concatenate([pictures, np.stack(same)]),
        "all scores, picture": np.concatenate([pictures, np.stack(every)]),
    }


def flat(found: Found) -> dict[str, Floats]:
    """All scores of a look, by level and name."""
    return {f"{level}/{name}": values for level, one in found.items() for name, values in one.scores.items()}


def tests_of(cell: Cell, look: Path, crop: float, pool: Pool) -> Iterator[tuple[str, str, float]]:
    """(level and score, what explains, z) of one suspect."""
    choice = choice_of(cell, int(look.parent.name.partition("-")[2]), pool.labels)
    blocks = Blocks(choice.block_of, choice.home)
    pictures = pool.covariates[:, choice.positions]
    references = [
        {key: values[choice.positions] for key, values in flat(found).items()}
        for found in references_at(look, crop).values()
    ]
    own = flat(read_scores(look, crop)[0])
    for level in LEVELS:
        for key in [one for one in own if one.startswith(f"{level}/")]:
            sets = explaining_sets(level, key.partition("/")[2], references, pictures)
            for name, explaining in sets.items():
                residual = reference_residual(own[key][choice.positions], explaining, choice.block_of)
                yield key, name, choice_test(residual, blocks).z


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--cells", nargs="+", choices=CELLS, required=True)
    options = parser.parse_args()
    print("| images | epochs | crops from | score | explained by | suspects | median z |")
    print("|---|---|---|---|---|---|---|")
    for name in options.cells:
        cell = CELLS[name]
        pool = Pool.of(cell, options.cifar)
        for epoch in cell.looked_at:
            for crop in CROPS:
                found: dict[tuple[str, str], list[float]] = {}
                for look in sorted((options.work / name).glob(f"suspect-*/epoch-{epoch:04d}")):
                    if references_at(look, crop):
                        for key, explained, z in tests_of(cell, look, crop, pool):
                            found.setdefault((key, explained), []).append(z)
                for (key, explained), z in found.items():
                    middle = statistics.median(z)
                    print(f"| {name} | {epoch} | {crop} | {key} | {explained} | {len(z)} | {middle:.1f} |")


if __name__ == "__main__":
    main()
