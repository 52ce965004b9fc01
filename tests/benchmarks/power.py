"""Power on CIFAR-10: which marks, how many of them, which suspects, how many queries.

Every suspect has its own seed, its own key and its own initialisation; references are trained on the unmarked images
with seeds of their own, and so are the clean suspects, whose rows say how often an innocent would be accused.

    export MALLOC_MMAP_THRESHOLD_=8000000000 MALLOC_TRIM_THRESHOLD_=8000000000  # on a CPU: trains 1.5 times as fast
    python -m tests.benchmarks.power run --cifar cifar10.zip --out power.jsonl --minutes 8 [--part 0/4] [--cells clip]
    python -m tests.benchmarks.power table power.jsonl
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from provenance.marks import MarkSettings
from tests.benchmarks.power_copies import CLASSES, Owned, load, mark
from tests.benchmarks.power_scores import DECOYS, rows
from tests.benchmarks.power_training import Recipe, Trained, train

REFERENCES = 4
RECIPES = {"clip": Recipe("clip", epochs=15), "simclr": Recipe("simclr", epochs=100)}
FIRST_REFERENCE_SEED = 900_000
ASSOCIATED: dict[str, dict] = {
    "patch 1.0": {"family": "patch", "side": 0.25, "opacity": 1.0},
    "patch 0.6": {"family": "patch", "side": 0.25, "opacity": 0.6},
    "patch 0.3": {"family": "patch", "side": 0.25, "opacity": 0.3},
    "blend 16": {"family": "blend", "amplitude": 16.0},
    "spectral 16": {"family": "spectral", "amplitude": 16.0},
    "warp 0.05": {"family": "warp", "bend": 0.05},
}
PLAIN: dict[str, dict] = {
    "plain patch 1.0": {"family": "patch", "side": 0.25, "opacity": 1.0, "cells": 4},
    "plain blend 16": {"family": "blend", "amplitude": 16.0},
    "plain warp 0.05": {"family": "warp", "bend": 0.05},
}
LOOKS = [*ASSOCIATED, *PLAIN]
SHARES = {"clip": (0.005, 0.01, 0.02, 0.05, 0.1), "simclr": (0.05, 0.1)}


@dataclass(frozen=True)
class Cell:
    """One line of the table."""

    method: str
    look: str
    share: float
    options: dict = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", {**ASSOCIATED, **PLAIN}[self.look])

    def settings(self) -> MarkSettings:
        if self.look in PLAIN:
            return MarkSettings(association="plain", groups=(), share=self.share, **self.options)
        return MarkSettings(groups=CLASSES, share=self.share, **self.options)


def copies(method: str, specs: list[str]) -> list[list[Cell]]:
    """The marked copies, each as its mark sets: "look+look@share,share" is one copy for each share."""
    found = []
    for spec in specs or [f"{look}@{','.join(map(str, SHARES[method]))}" for look in LOOKS]:
        looks, _, shares = spec.partition("@")
        found += [[Cell(method, look, float(share)) for look in looks.split("+")] for share in shares.split(",")]
    return found


def run(options: argparse.Namespace) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(options.threads)
    deadline = time.monotonic() + 60 * options.minutes
    owned = load(options.cifar, device)
    mine, parts = (int(value) for value in options.part.split("/"))
    with options.out.open("a") as out:
        for method in options.cells:
            recipe = Recipe(**{**asdict(RECIPES[method]), **({"epochs": options.epochs} if options.epochs else {})})
            seeds = [FIRST_REFERENCE_SEED + 1000 * mine + i for i in range(options.references)]
            references = [train(recipe, owned.pixels, owned.labels, seed, owned.held_out) for seed in seeds]
            for seed in range(mine, options.seeds, parts):
                _one_seed(owned, recipe, copies(method, options.copies), seed, references, out, deadline)


def _one_seed(
    owned: Owned, recipe: Recipe, wanted: list[list[Cell]], seed: int, references: list, out: TextIO, deadline: float
) -> None:
    """Every marked copy once with this seed, and one clean suspect tested with each copy's key."""
    clean = train(recipe, owned.pixels, owned.labels, 500_000 + seed, owned.held_out)
    for lines in wanted:
        if time.monotonic() > deadline:
            return
        start = time.monotonic()
        marked = mark(owned, [cell.settings() for cell in lines], os.urandom(32))
        model = train(recipe, marked.pixels, owned.labels, _seed_of(lines[0], seed), owned.held_out)
        common = {"seed": seed, "epochs": recipe.epochs, "sets": len(lines), "accuracy": _accuracy(model, owned)}
        common["seconds"] = time.monotonic() - start
        for cell, struck in zip(lines, marked.sets, strict=True):
            facts = {**asdict(cell), **common, "marked": struck.count, "psnr": struck.psnr}
            for guilty, suspect in ((True, model), (False, clean)):
                name = f"{cell}/{seed}/{guilty}"
                for row in rows(owned, struck.secret, marked.candidates, suspect, references, name):
                    out.write(json.dumps({**facts, "guilty": guilty, **row}) + "\n")
        out.flush()


def _seed_of(cell: Cell, seed: int) -> int:
    """Every suspect has a seed of its own, the same however the table is divided into runs; one of several mark sets
    goes by the first."""
    look, share = LOOKS.index(cell.look), round(1000 * cell.share)
    return 1_000_000 * (look + 1) + 1000 * share + seed


def _accuracy(model: Trained, owned: Owned) -> float:
    images, labels = owned.held_out
    right = [
        (model.answer(part.float())[1].argmax(1) == want)
        for part, want in zip(images.split(2000), labels.split(2000), strict=True)
    ]
    return float(torch.cat(right).float().mean())


def table(options: argparse.Namespace) -> None:
    """Per kind of suspect, mark, share and number of queries: how many were found at alpha, and the median p."""
    found: dict[tuple, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    for path in options.results:
        for row in map(json.loads, path.read_text().splitlines()):
            cell = found[_place_in_table(row)]
            for kind in ("p", "p_references"):
                cell[f"{row['level']} {kind}"].append(row[kind])
            for fact in ("psnr", "accuracy"):
                cell[fact].append(row[fact])
    kinds = [f"{level} {kind}" for level in ("features", "soft", "hard") for kind in ("p", "p_references")]
    levels = [name for level in ("features", "soft", "hard") for name in (level, "with references")]
    _line(["suspect", "mark", "share", "queries", "accuracy", "PSNR, dB", *levels])
    _line(["---"] * (6 + len(kinds)))
    for (suspect, _, _, look, share, queries), values in sorted(found.items()):
        guilty = not look.startswith("clean")
        facts = [f"{100 * share:g} %", f"{queries:,}", f"{statistics.fmean(values['accuracy']):.0%}"]
        facts += [f"{statistics.fmean(values['psnr']):.1f}"] if guilty else ["–"]
        cells = [suspect, look, *(facts if guilty else ["–", facts[1], "–", "–"])]
        for kind in kinds:
            hits = sum(p <= options.alpha for p in values[kind])
            cells.append(f"{hits}/{len(values[kind])} ({statistics.median(values[kind]):.1g})")
        _line(cells)


def _place_in_table(row: dict) -> tuple:
    """Suspect, whether marks are plain, whether it is clean, mark, share, queries: what a line stands for."""
    plain = row["look"] in PLAIN
    queries = row["probes"] * (DECOYS + 2 if plain else len(CLASSES) + 1)
    suspect = f"{row['method']}, {row['epochs']} epochs"
    if not row["guilty"]:
        return suspect, plain, True, "clean, plain marks" if plain else "clean", 0.0, queries
    look = row["look"] + (" *" if row["sets"] > 1 else "")
    return suspect, plain, False, look, row["share"], queries


def _line(cells: list[str]) -> None:
    print("| " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    runner = commands.add_parser("run")
    runner.add_argument("--cifar", type=Path, required=True)
    runner.add_argument("--out", type=Path, required=True)
    runner.add_argument("--minutes", type=float, default=9)
    runner.add_argument("--seeds", type=int, default=5)
    runner.add_argument("--part", default="0/1")
    runner.add_argument("--cells", nargs="+", default=["clip", "simclr"])
    runner.add_argument(
        "--copies", nargs="+", default=[], help="for example 'patch 1.0@0.01,0.02' 'patch 0.3+blend 16@0.1'"
    )
    runner.add_argument("--references", type=int, default=REFERENCES)
    runner.add_argument("--epochs", type=int, default=0)
    runner.add_argument("--threads", type=int, default=2)
    runner.set_defaults(call=run)
    printer = commands.add_parser("table")
    printer.add_argument("results", type=Path, nargs="+")
    printer.add_argument("--alpha", type=float, default=0.01)
    printer.set_defaults(call=table)
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    main()
