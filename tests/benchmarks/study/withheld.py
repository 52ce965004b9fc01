"""Withheld images: how well encoders that saw the published ones know them from those that stayed home.

Every suspect has a key, a seed and an initialisation of its own; references are trained on other images with seeds of
their own. Blocks are images of one class that follow each other in the archive. Views, scores and tests are the
product's. A run that is cut short goes on at its last epoch.

    export MALLOC_MMAP_THRESHOLD_=8000000000 MALLOC_TRIM_THRESHOLD_=8000000000  # on a CPU: trains 1.5 times as fast
    python -m tests.benchmarks.study.withheld run --cifar cifar10.zip --work FOLDER --cells 1000-500-w32 [--seeds 5]
    python -m tests.benchmarks.study.withheld table --work FOLDER --out withheld.csv
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audits.judging.assignments import Rules
from audits.judging.choices import Choices, judge_choice, wrong_choice
from audits.judging.levels import ChoiceTest
from audits.pilots.objectives import Objective
from audits.pilots.training import EpochPoint, Following, Progress, device_here, train
from audits.pilots.training_set import TrainingSet
from audits.statistics.choices import Blocks
from audits.statistics.density import LEVELS
from provenance.marks import KeyedChoice, WithheldSettings
from provenance.marks.keyed_choice import choose
from tests.benchmarks.study.cells import CELLS, Cell
from tests.benchmarks.study.images import Labelled, blocks_by_class, cifar
from tests.benchmarks.study.looking import CROPS, Looker, read_scores

FOREIGN = 4000  # test images for the linear probe: half to fit it, half to say how good it is
ALPHA = 0.001


def drawn(what: str) -> bytes:
    """32 bytes that follow from words, so that a run can be repeated."""
    return hashlib.sha256(f"study of withheld images: {what}".encode()).digest()


def seed_of(what: str) -> int:
    return int.from_bytes(drawn(f"seed of {what}")[:4], "big")


@dataclass(frozen=True)
class Line:
    """One training of a cell: a suspect with its key, or a reference."""

    cell: Cell
    role: str  # "suspect" or "reference"
    number: int

    @property
    def name(self) -> str:
        return f"{self.cell.name} {self.role} {self.number}"

    def folder(self, work: Path) -> Path:
        return work / self.cell.name / f"{self.role}-{self.number}"


def choice_of(cell: Cell, number: int, labels: np.ndarray) -> KeyedChoice:
    """What the key of a suspect decides."""
    settings = WithheldSettings(blocking="0" * 64, block_size=cell.block_size, share=1 / cell.block_size)
    key, beacon = (drawn(f"{what} of {cell.name} suspect {number}") for what in ("key", "beacon"))
    return choose(key, beacon, settings, blocks_by_class(labels, cell.block_size))


def run(options: argparse.Namespace) -> None:
    foreign = cifar(options.cifar, "test", FOREIGN)
    for name in options.cells:
        cell = CELLS[name]
        images = cifar(options.cifar, "train", cell.pool + cell.references * cell.published)
        looker = Looker(images.images[: cell.pool], foreign)
        suspects = [Line(cell, "suspect", number) for number in range(options.seeds)]
        references = [Line(cell, "reference", number) for number in range(cell.references)]
        for line in [suspects[0], *references, *suspects[1:]]:
            _train(line, images, looker, options.work)


def _train(line: Line, images: Labelled, looker: Looker, work: Path) -> None:
    cell, folder = line.cell, line.folder(work)
    if (folder / "curve.json").exists():
        return
    seen = images.part(trained_on(line, images.labels))
    settings = cell.settings(seed_of(line.name))

    def look(epoch: int, objective: Objective) -> None:
        if epoch in cell.looked_at:
            looker.look(objective, folder / f"epoch-{epoch:04d}")

    def say(progress: Progress) -> None:
        _write_curve(folder / "so-far.json", progress.curve)

    following = Following(progress=say, epoch_done=look)
    data = TrainingSet(seen.images, labels=seen.labels)
    done = train(data, settings, following, checkpoint=folder / "checkpoint.pt", device=device_here())
    _write_curve(folder / "curve.json", done.curve)
    print(f"{line.name}: {done.seconds:.0f} s, loss {done.losses[-1]:.3f}", flush=True)


def trained_on(line: Line, labels: np.ndarray) -> np.ndarray:
    """Positions of the images that a line is trained on."""
    cell = line.cell
    if line.role == "reference":
        start = cell.pool + line.number * cell.published
        if start + cell.published > len(labels):
            raise SystemExit(f"There are not images enough for {line.name}.")
        return np.arange(start, start + cell.published)
    choice = choice_of(cell, line.number, labels[: cell.pool])
    return np.delete(np.arange(cell.pool), choice.positions[choice.home])


def _write_curve(path: Path, curve: tuple[EpochPoint, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(point) for point in curve]) + "\n")


def table(options: argparse.Namespace) -> None:
    cells = [cell for cell in CELLS.values() if (options.work / cell.name).is_dir()]
    labels = cifar(options.cifar, "train", max((cell.pool for cell in cells), default=1)).labels
    rows = [row for cell in cells for row in _rows(cell, labels, options.work)]
    if not rows:
        raise SystemExit("Nothing was looked at yet.")
    with options.out.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    _print(rows)


def _rows(cell: Cell, labels: np.ndarray, work: Path) -> Iterator[dict[str, Any]]:
    """Every look at every suspect, with the references that were looked at after as many epochs."""
    for suspect in sorted((work / cell.name).glob("suspect-*")):
        number = int(suspect.name.partition("-")[2])
        for look in sorted(suspect.glob("epoch-*/scores.npz")):
            for crop in CROPS:
                yield from _of_look(cell, number, look.parent, crop, labels)


def _of_look(cell: Cell, number: int, look: Path, crop: float, labels: np.ndarray) -> Iterator[dict[str, Any]]:
    choice = choice_of(cell, number, labels[: cell.pool])
    blocks = Blocks(choice.block_of, choice.home)
    name = f"{cell.name} suspect {number}"
    choices = Choices(blocks, wrong_choice(blocks, "the study", name), np.empty((0, len(choice.positions))))
    own, accuracy = read_scores(look, crop)
    others = {
        folder.name: read_scores(folder / look.name, crop)[0]
        for folder in sorted(look.parent.parent.glob("reference-*"))
        if (folder / look.name / "scores.npz").exists()
    }

    def of_alternatives(scores: Any) -> Any:
        return type(scores)({key: values[choice.positions] for key, values in scores.scores.items()}, 0)

    for level in LEVELS:
        rules = Rules("the study", level, ALPHA, 0, decide_with_references=True)
        against = {key: of_alternatives(scores[level]) for key, scores in others.items()}
        for score in own[level].scores:
            rules = Rules("the study", level, ALPHA, 0, decide_with_references=True, score=score)
            found = judge_choice(level, of_alternatives(own[level]), against, choices, rules, name)
            controls = {control.name: control.p for control in found.controls if control.kind == "wrong key"}
            yield {
                "cell": cell.name,
                "method": cell.method.name,
                "encoder": cell.encoder,
                "published": cell.published,
                "at_home": cell.at_home,
                "suspect": number,
                "epochs": int(look.name.partition("-")[2]),
                "of_epochs": cell.epochs,
                "smallest_crop": crop,
                "level": level,
                "score": score,
                "accuracy": round(accuracy, 4),
                **_numbers("", found.without),
                "references": len(against),
                **_numbers("with_", found.with_references),
                "wrong_key_p": next(iter(controls.values())),
                "tainted": len(found.tainted),
            }


def _numbers(prefix: str, test: ChoiceTest | None) -> dict[str, Any]:
    if test is None:
        return {f"{prefix}z": "", f"{prefix}p": "", f"{prefix}p_lower": "", f"{prefix}auc": ""}
    found = {"z": f"{test.z:.2f}", "p": f"{test.p:.3g}", "p_lower": f"{test.p_lower:.3g}", "auc": f"{test.auc:.3f}"}
    return {f"{prefix}{key}": value for key, value in found.items()}


def _print(rows: list[dict[str, Any]]) -> None:
    """One line for each level, score, crop and number of epochs, over all suspects."""
    shown = ("cell", "epochs", "smallest_crop", "level", "score")
    lines: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        lines.setdefault(tuple(row[key] for key in shown), []).append(row)
    print("| images | epochs | crops from | level | score | probe | without references | with references |")
    print("|---|---|---|---|---|---|---|---|")
    for line, those in lines.items():
        probe = f"{statistics.median(row['accuracy'] for row in those):.0%}"
        print("| " + " | ".join(map(str, (*line, probe, _told(those, ""), _told(those, "with_")))) + " |")


def _told(rows: list[dict[str, Any]], prefix: str) -> str:
    """How many were found, median z with its range, median AUC."""
    rows = [row for row in rows if row[f"{prefix}z"] != ""]
    if not rows:
        return "–"
    z = sorted(float(row[f"{prefix}z"]) for row in rows)
    found = sum(float(row[f"{prefix}p"]) <= ALPHA for row in rows)
    auc = statistics.median(float(row[f"{prefix}auc"]) for row in rows)
    reach = f" ({z[0]:.1f} to {z[-1]:.1f})" if len(z) > 1 else ""
    return f"{found}/{len(rows)}, z {statistics.median(z):.1f}{reach}, AUC {auc:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    running = commands.add_parser("run")
    running.set_defaults(act=run)
    running.add_argument("--cells", nargs="+", choices=CELLS, required=True)
    running.add_argument("--seeds", type=int, default=1, help="suspects for each cell")
    telling = commands.add_parser("table")
    telling.set_defaults(act=table)
    telling.add_argument("--out", type=Path, required=True)
    for command in (running, telling):
        command.add_argument("--cifar", type=Path, required=True)
        command.add_argument("--work", type=Path, required=True, help="where checkpoints and scores are kept")
    options = parser.parse_args()
    options.act(options)


if __name__ == "__main__":
    main()
