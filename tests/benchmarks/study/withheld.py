"""Keyed choices: how well encoders that saw the published images know them from those that stayed home.

Every suspect has a key, a seed and an initialisation of its own; references are trained on other images, or on all that
the key chooses among, with seeds of their own. Blocks are images of one class that follow each other in the archive, or
the two versions of an image. Views, scores and tests are the product's. A run that is cut short goes on at its last
epoch.

    export MALLOC_MMAP_THRESHOLD_=8000000000 MALLOC_TRIM_THRESHOLD_=8000000000  # on a CPU: trains 1.5 times as fast
    python -m tests.benchmarks.study.withheld run --cifar cifar10.zip --work FOLDER --cells 1000-500-w32 [--seeds 5]
    python -m tests.benchmarks.study.withheld table --cifar cifar10.zip --work FOLDER --out withheld.csv
    python -m tests.benchmarks.study.withheld fewer --cifar cifar10.zip --work FOLDER --cells 1000-500-w32

`fewer` draws blocks at random from those of a cell: how many images must stay home. Trainings compute in bfloat16 where
the processor multiplies in it; the table says which did.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from audits.pilots.objectives import Objective
from audits.pilots.precision import bfloat16_is_fast
from audits.pilots.training import EpochPoint, Following, Progress, device_here, save_weights, train
from tests.benchmarks.study.cells import CELLS, Cell, Precision
from tests.benchmarks.study.images import Labelled, cifar, pool_of
from tests.benchmarks.study.lines import Line, pictures_needed, seed_of, set_for, trained_on
from tests.benchmarks.study.looking import Looker
from tests.benchmarks.study.tables import fewer, table

FOREIGN = 4000  # test images for the linear probe: half to fit it, half to say how good it is


def run(options: argparse.Namespace) -> None:
    foreign = cifar(options.cifar, "test", FOREIGN)
    precision = Precision(options.threads, bfloat16_is_fast())
    for name in options.cells:
        cell = CELLS[name]
        pictures = cifar(options.cifar, "train", pictures_needed(cell))
        images = pool_of(cell, pictures)
        looker = Looker(cell, images.part(np.arange(cell.pool)), foreign)
        for line in _lines(cell, options.seeds):
            _train(line, images, looker, options.work, precision)


def _lines(cell: Cell, seeds: int) -> Iterator[Line]:
    """The base first, for others begin with it; then one suspect with its references, so that a table comes early."""
    if cell.tuned:
        yield Line(cell, "base", 0)
    yield Line(cell, "suspect", 0)
    for number in range(cell.references):
        yield Line(cell, "reference", number)
    for number in range(cell.whole):
        yield Line(cell, "whole", number)
    for number in range(1, seeds):
        yield Line(cell, "suspect", number)


def _train(line: Line, images: Labelled, looker: Looker, work: Path, precision: Precision) -> None:
    cell, folder = line.cell, line.folder(work)
    if (folder / "curve.json").exists():
        return
    epochs = cell.tuned if line.role == "base" else cell.epochs
    looked_at = (epochs,) if line.role == "base" else cell.looked_at
    settings = cell.settings(seed_of(line.name), epochs, precision)

    def look(epoch: int, objective: Objective) -> None:
        if epoch in looked_at:
            looker.look(objective, folder / f"epoch-{epoch:04d}")

    def say(progress: Progress) -> None:
        _write_curve(folder / "so-far.json", progress.curve)

    begun = Line(cell, "base", 0).folder(work) / "weights.safetensors" if cell.tuned and line.role != "base" else None
    data = set_for(cell, images.part(trained_on(line, images.labels)))
    following = Following(progress=say, epoch_done=look)
    checkpoint = folder / "checkpoint.pt"
    done = train(data, settings, following, checkpoint=checkpoint, begin_with=begun, device=device_here())
    if line.role == "base":
        save_weights(done.model, folder / "weights.safetensors")
    (folder / "settings.json").write_text(json.dumps(settings.to_json()) + "\n")
    _write_curve(folder / "curve.json", done.curve)
    print(f"{line.name}: {done.seconds:.0f} s, loss {done.losses[-1]:.3f}", flush=True)


def _write_curve(path: Path, curve: tuple[EpochPoint, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(point) for point in curve]) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    running = commands.add_parser("run")
    running.set_defaults(act=run)
    running.add_argument("--seeds", type=int, default=1, help="suspects for each cell")
    running.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    telling = commands.add_parser("table")
    telling.set_defaults(act=table)
    telling.add_argument("--out", type=Path, required=True)
    fewer_home = commands.add_parser("fewer")
    fewer_home.set_defaults(act=fewer)
    fewer_home.add_argument("--draws", type=int, default=100)
    for command in (running, telling, fewer_home):
        command.add_argument("--cifar", type=Path, required=True)
        command.add_argument("--work", type=Path, required=True, help="where checkpoints and scores are kept")
        if command is not telling:
            command.add_argument("--cells", nargs="+", choices=CELLS, required=True)
    options = parser.parse_args()
    options.act(options)


if __name__ == "__main__":
    main()
