"""Robustness on CIFAR-10 or, by captions, on scenes: what is left of the evidence after each attack, at a size that a
CPU can train.

The owner's pool, what references learn, an evader's clean images and the task share no image, and no two trainings
share a seed. A run that is cut short goes on at its last row; it may be run with more trials later.

    export MALLOC_MMAP_THRESHOLD_=8000000000 MALLOC_TRIM_THRESHOLD_=8000000000  # on a CPU: trains 1.5 times as fast
    python -m tests.benchmarks.study.robustness run --cifar cifar10.zip --work FOLDER --setting small [--trials 5]
    python -m tests.benchmarks.study.robustness run --work FOLDER --setting scenes --attacks recaption
    python -m tests.benchmarks.study.robustness table --work FOLDER --setting small --out robustness.csv
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from numpy.typing import NDArray

from audits.judging.bases import BASES, Basis
from audits.pilots.methods import Clip, Method, SimClr
from audits.pilots.recipe import TINY_CLIP, TINY_CLIP_NAME, TrainingSettings
from audits.pilots.training import device_here
from audits.pilots.training_set import TrainingSet
from audits.robustness.attacks.catalogue import CATALOGUE, named
from audits.robustness.running import measured
from audits.robustness.settings import ANY_BLOCKS, RobustnessSettings
from audits.robustness.stock import Stock
from audits.robustness.suspects import Task
from audits.robustness.table import BEFORE, Row, rows_so_far, tabulated
from audits.scenes.procedural import CLASSES as SCENE_CLASSES
from audits.scenes.procedural import scenes
from provenance.marks import WithheldSettings
from tests.benchmarks.study.images import CLASSES, cifar

SIDE, TASK = 32, 2000  # of the files in pixels; images of the task
SCENES = 20  # number of the set
CLIP_SIDE = int(TINY_CLIP["vision_cfg"]["image_size"])


@dataclass(frozen=True)
class Setting:
    """One table. at_home: of the pool, one of every block; others, clean: images of references and of the evader.

    Methods that learn from captions do so from scenes, two of three of which have a title that nobody could guess.
    """

    pool: int
    at_home: int
    others: int
    clean: int
    encoder: str
    epochs: int
    method: Method
    references: int = 2
    batch_size: int = 50
    side: int = 32

    def settings(self, trials: int, attacks: tuple[str, ...]) -> RobustnessSettings:
        size, rest = divmod(self.pool, self.at_home)
        if rest:
            raise ValueError("The blocks of a setting are all of one size.")
        recipe = TrainingSettings(
            seed=0,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=2e-3,
            method=self.method,
            encoder=self.encoder,
            side=self.side,
        )
        return RobustnessSettings(
            recipe=recipe,
            mark=WithheldSettings(ANY_BLOCKS, size, 1 / size),
            attacks=named(attacks),
            trials=trials,
            references=self.references,
            seed=10,
        )

    def stock(self, archive: Path | None) -> Stock:
        if self.method.learns_from == "captions":
            return self._scenes()
        if archive is None:
            raise SystemExit("Name the archive of CIFAR-10: --cifar cifar10.zip.")
        images, foreign = cifar(archive, "train"), cifar(archive, "test")
        ends = np.cumsum([0, self.pool, self.others, self.clean])
        parts = [images.part(np.arange(start, end)) for start, end in pairwise(ends)]
        pool, others, clean = (TrainingSet(self.sized(part.images), labels=part.labels) for part in parts)
        return Stock(pool, others, clean, Task(self.sized(foreign.images[:TASK]), foreign.labels[:TASK], CLASSES))

    def _scenes(self) -> Stock:
        ends = np.cumsum([0, self.pool, self.others, self.clean, TASK])
        drawn = list(scenes(SCENES, int(ends[-1]), self.side))
        labels = np.array([SCENE_CLASSES.index(one.label) for one in drawn])
        parts = [
            TrainingSet(
                np.stack([one.pixels for one in drawn[start:end]]),
                tuple(one.caption for one in drawn[start:end]),
                labels[start:end],
            )
            for start, end in pairwise(ends)
        ]
        pool, others, clean, task = parts
        return Stock(pool, others, clean, Task(task.images, labels[ends[-2] :], SCENE_CLASSES), pool.captions)

    def sized(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Means of squares of pixels, where the side is smaller than that of the files."""
        step = SIDE // self.side
        squares = images.reshape(len(images), self.side, step, self.side, step, 3)
        return squares.mean(axis=(2, 4)).round().astype(np.uint8)


SETTINGS = {
    "small": Setting(750, 250, 500, 500, "small_resnet:16", 100, SimClr()),
    "scenes": Setting(900, 300, 450, 150, TINY_CLIP_NAME, 40, Clip(), references=1, side=CLIP_SIDE),
    "thumbnails": Setting(600, 200, 400, 400, "small_resnet:8:1-1-1", 100, SimClr(), references=1, side=16),
}


class _OutOfTimeError(Exception):
    pass


def run(options: argparse.Namespace) -> None:
    setting, deadline = SETTINGS[options.setting], time.monotonic() + 60 * options.minutes
    stock, begun = setting.stock(options.cifar), time.monotonic()

    def told(done: float, what: str) -> None:
        if time.monotonic() > deadline:
            raise _OutOfTimeError
        print(f"{time.monotonic() - begun:7.0f} s {done:8.2f} {what}", flush=True)

    wanted = setting.settings(options.trials, tuple(options.attacks))
    try:
        measured(wanted, stock, options.work / options.setting, told, device_here())
    except _OutOfTimeError:
        print("Out of time; what was done is kept.")


def table(options: argparse.Namespace) -> None:
    """Of all rows that are there: a line that is behind the others has fewer trials."""
    rows = rows_so_far(options.work / options.setting)
    if not rows:
        raise SystemExit("Nothing was measured yet.")
    wanted = SETTINGS[options.setting].settings(1 + max(row.trial for row in rows), tuple(CATALOGUE))
    made = tabulated(replace(wanted, alpha=options.alpha), rows)
    with options.out.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["attack", "trial", "images", "accuracy", "level", "z", "p", "auc"])
        for row in rows:
            for level, one in row.levels.items():
                head = [row.attack, row.trial, row.images, row.accuracy]
                auc = "" if one.auc is None else f"{one.auc:.4f}"
                writer.writerow([*head, level, f"{one.z:.3f}", f"{one.p:.4g}", auc])
    print(f"{sum(row.attack == BEFORE for row in rows)} trials begun")
    print(made.to_markdown())
    print("\nChange of z within a trial, mean (standard deviation):")
    for title, by_basis in changes(rows).items():
        told = (f"{basis} {fmean(one):+.2f} ({stdev(one):.2f})" for basis, one in by_basis.items() if len(one) > 1)
        print(f"{title}: {', '.join(told)}")


def changes(rows: Sequence[Row]) -> dict[str, dict[Basis, list[float]]]:
    """By attack and level, z after it minus z of the same trial before any: keys and seeds are the same."""
    before = {row.trial: row.levels for row in rows if row.attack == BEFORE}
    found: dict[str, dict[Basis, list[float]]] = {}
    for row in rows:
        for basis in (one for one in BASES if one in row.levels and row.attack != BEFORE):
            change = row.levels[basis].z - before[row.trial][basis].z
            found.setdefault(row.attack, {}).setdefault(basis, []).append(change)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    running = commands.add_parser("run")
    running.set_defaults(act=run)
    running.add_argument("--cifar", type=Path, help="archive; scenes need none")
    running.add_argument("--trials", type=int, default=5)
    running.add_argument("--attacks", nargs="+", choices=CATALOGUE, default=list(CATALOGUE))
    running.add_argument("--minutes", type=float, default=1e6, help="stop after so many, and keep what is done")
    telling = commands.add_parser("table")
    telling.set_defaults(act=table)
    telling.add_argument("--out", type=Path, required=True)
    telling.add_argument("--alpha", type=float, default=0.001)
    for command in (running, telling):
        command.add_argument("--setting", choices=SETTINGS, required=True)
        command.add_argument("--work", type=Path, required=True, help="where models and rows are kept")
    options = parser.parse_args()
    options.act(options)


if __name__ == "__main__":
    main()
