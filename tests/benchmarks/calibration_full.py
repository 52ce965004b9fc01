"""The full calibration: 10,000 pairs of null model and key per level and test; prints the table of docs/error-rates.md.

Run: python -m tests.benchmarks.calibration_full   (minutes on one core; a progress line per round on stderr)
     python -m tests.benchmarks.calibration_full --pairs 1000 --json table.json
     python -m tests.benchmarks.calibration_full --images cifar10.zip --strangers models --work FOLDER
     python -m tests.benchmarks.calibration_full --family blend spectral warp --pairs 1000 --rounds 4 --compact


Without --images probes come from the procedural scenes; with it, from a zip whose first folder levels end in a class
name, such as CIFAR-10's JPEGs. --strangers: a folder of CIFAR ResNets that others trained (32 x 32 images);
they are slow, so they join every third round. --work: finished rounds are kept there, so a run that was cut short goes
on where it was, and its table so far can be printed with --rounds-only 0. --compact: one line for each family and test.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from audits.calibration import BenchSize, CalibrationSettings, PairRules, RoundResult, calibrate_round, tabulate
from audits.calibration.null_models import stranger_models
from audits.calibration.table import CalibrationTable, Row
from audits.scenes.procedural import CLASSES, scenes
from provenance.marks import PRESETS, families
from provenance.wording import verdict

SIDE = 32
STOCK = 3000
STRANGERS_EVERY = 3
MOST_ROUNDS = 1000  # a family's rounds begin at a multiple of this, so that no two families share a draw


def procedural_stock() -> tuple[np.ndarray, np.ndarray]:
    drawn = list(scenes(2605, STOCK, SIDE))
    return np.stack([scene.pixels for scene in drawn]), np.array([CLASSES.index(scene.label) for scene in drawn])


def zipped_stock(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """STOCK images of a zip, drawn evenly; the folder that holds a file is its class."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.lower().endswith((".jpg", ".jpeg", ".png")))
        names = [names[i] for i in np.random.default_rng(0).permutation(len(names))[:STOCK]]
        classes = sorted({Path(name).parent.name for name in names})
        images = [
            np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB").resize((SIDE, SIDE))) for name in names
        ]
    return np.stack(images), np.array([classes.index(Path(name).parent.name) for name in names])


def compact(table: CalibrationTable) -> str:
    """One line for each family and test: over all levels, with and without references."""
    lines: dict[tuple[bool, str, str], list[Row]] = {}
    for row in table.rows:
        lines.setdefault((not row.exact, row.test, row.family), []).append(row)
    text = [
        "| test | family | lines | pairs per line | p <= 0.05 | p <= 0.01 | too often |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (_, test, family), rows in sorted(lines.items()):
        rates = []
        for place in range(len(rows[0].rejections)):
            found = [100 * row.rejections[place].rate for row in rows]
            rates.append(f"{min(found):.1f}–{max(found):.1f} %" if len(found) > 1 else f"{found[0]:.1f} %")
        often = sum(item.finding == "too often" for row in rows for item in row.rejections)
        counts = sum(len(row.rejections) for row in rows)
        text.append(
            f"| {test} | {family} | {len(rows)} | {rows[0].pairs:,} | {rates[0]} | {rates[1]} | {often} of {counts} |"
        )
    return "\n".join(text)


def code_version() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=10_000, help="pairs per level and test")
    parser.add_argument("--rounds", type=int, default=12, help="fresh benches, each with its own null models")
    parser.add_argument("--models", type=int, default=8, help="fresh null models per round")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--family", nargs="+", choices=list(families()), default=["patch"])
    parser.add_argument("--compact", action="store_true", help="print one line for each family and test")
    parser.add_argument("--images", type=Path)
    parser.add_argument("--strangers", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--rounds-only", type=int, help="run no more than so many further rounds now")
    options = parser.parse_args()
    images, labels = zipped_stock(options.images) if options.images else procedural_stock()
    per_round = -(-options.pairs // options.rounds)
    settings = CalibrationSettings(
        rounds=options.rounds,
        models=options.models,
        pairs=per_round,
        bench=BenchSize(groups=10, probes=48, per_group=8, sets=2, keys=120, views=4),
        rules=PairRules(references=3, decoys=99, block=20, exceedances=4, slow_pairs=max(1, per_round // 10)),
        seed=options.seed,
    )
    groups = tuple(f"group {g}" for g in range(settings.bench.groups))
    marks = [PRESETS["strong"].settings(groups, family=family) for family in options.family]
    strangers = stranger_models(options.strangers) if options.strangers else []
    work = options.work or Path(tempfile.mkdtemp(prefix="calibration-"))
    work.mkdir(parents=True, exist_ok=True)
    start, results, left = time.perf_counter(), [], options.rounds_only
    for number, one in [(number, one) for one in marks for number in range(settings.rounds)]:
        stored = work / f"{one.family}-seed{options.seed}-pairs{per_round}-round{number:03d}.json"
        if not stored.exists():
            if left == 0:
                continue
            left = None if left is None else left - 1
            further = strangers if number % STRANGERS_EVERY == 0 else []
            draw = number + MOST_ROUNDS * [*families()].index(one.family)
            result = calibrate_round(settings, one, images, labels, draw, further)
            stored.with_suffix(".part").write_text(json.dumps(result.to_dict()), encoding="utf-8")
            stored.with_suffix(".part").replace(stored)
            print(f"{one.family}, round {number + 1}, {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        results.append(RoundResult.from_dict(json.loads(stored.read_text(encoding="utf-8"))))
    table = tabulate(results, settings, marks, code_version())
    seconds = time.perf_counter() - start
    print(compact(table) if options.compact else table.to_markdown())
    print(f"\nNull models: {table.made_with['models']}; at no level to test: {table.made_with['silent']}")
    tested = sum(row.pairs for row in table.rows)
    print(f"{tested:,} p-values of {len(results)} rounds; {seconds:.0f} s in this run; {verdict(table.holds)}")
    if options.json:
        options.json.write_text(json.dumps(table.to_dict()), encoding="utf-8")
    sys.exit(0 if table.holds else 1)


if __name__ == "__main__":
    main()
