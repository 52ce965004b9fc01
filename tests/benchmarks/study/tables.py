"""What the study's looks say: every line with and without references, and how few images at home would have done."""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audits.judging.assignments import Rules
from audits.judging.choices import Choices, judge_choice, wrong_choice
from audits.judging.levels import ChoiceTest
from audits.judging.membership import MembershipScores
from audits.statistics.choices import Blocks, choice_test
from audits.statistics.covariates import picture_covariates
from audits.statistics.density import LEVELS, Level
from audits.statistics.membership import reference_residual
from tests.benchmarks.study.cells import CELLS, Cell
from tests.benchmarks.study.images import cifar, pool_of
from tests.benchmarks.study.lines import REFERENCES, choice_of
from tests.benchmarks.study.looking import CROPS, read_scores

ALPHA = 0.001
FEWER = (25, 50, 100, 250, 500, 1_000)  # images at home
Found = Mapping[Level, MembershipScores]


def table(options: argparse.Namespace) -> None:
    cells = [cell for cell in CELLS.values() if (options.work / cell.name).is_dir()]
    rows = [row for cell in cells for row in _rows(cell, Pool.of(cell, options.cifar), options.work)]
    if not rows:
        raise SystemExit("Nothing was looked at yet.")
    with options.out.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    _print(rows)


@dataclass(frozen=True)
class Pool:
    """What a key chooses among: classes (n,), and what anybody sees of the pictures (5, n)."""

    labels: np.ndarray
    covariates: np.ndarray

    @classmethod
    def of(cls, cell: Cell, archive: Path) -> Pool:
        pool = pool_of(cell, cifar(archive, "train", cell.pictures))
        return cls(pool.labels, picture_covariates(np.array_split(pool.images, max(1, len(pool.labels) // 256))))


def _rows(cell: Cell, pool: Pool, work: Path) -> Iterator[dict[str, Any]]:
    """Every look at every suspect, with the references that were looked at after as many epochs."""
    for suspect in sorted((work / cell.name).glob("suspect-*")):
        number = int(suspect.name.partition("-")[2])
        for look in sorted(suspect.glob("epoch-*/scores.npz")):
            for crop in CROPS:
                yield from _of_look(cell, number, look.parent, crop, pool)


def references_at(look: Path, crop: float) -> dict[str, Found]:
    """By name, those that were looked at after as many epochs; a base of tuned weights has its own end alone."""
    found: dict[str, Found] = {}
    for role in REFERENCES:
        for folder in sorted(look.parent.parent.glob(f"{role}-*")):
            looks = sorted(folder.glob("epoch-*")) if role == "base" else [folder / look.name]
            if looks and (looks[-1] / "scores.npz").exists():
                found[folder.name] = read_scores(looks[-1], crop)[0]
    return found


def sets_of(names: list[str]) -> list[list[str]]:
    """Which references are tried together: one on other images, several, one on the whole pool, the base, all."""
    by_role = {role: [name for name in names if name.startswith(role)] for role in REFERENCES}
    tried = [by_role["reference"][:1], by_role["reference"], by_role["whole"][:1], by_role["base"], names]
    return [one for place, one in enumerate(tried) if one and one not in tried[:place]]


def _of_look(cell: Cell, number: int, look: Path, crop: float, pool: Pool) -> Iterator[dict[str, Any]]:
    choice = choice_of(cell, number, pool.labels)
    blocks = Blocks(choice.block_of, choice.home)
    name = f"{cell.name} suspect {number}"
    choices = Choices(blocks, wrong_choice(blocks, "the study", name), pool.covariates[:, choice.positions])
    own, accuracy = read_scores(look, crop)
    others = references_at(look, crop)
    settings = look.parent / "settings.json"
    lowered = json.loads(settings.read_text())["bfloat16"] if settings.exists() else ""

    def of_alternatives(scores: MembershipScores) -> MembershipScores:
        return MembershipScores({key: values[choice.positions] for key, values in scores.scores.items()}, 0)

    for level in LEVELS:
        for score in own[level].scores:
            rules = Rules("the study", level, ALPHA, 0, decide_with_references=True, score=score)
            for names in sets_of(list(others)) or [[]]:
                against = {key: of_alternatives(others[key][level]) for key in names}
                found = judge_choice(level, of_alternatives(own[level]), against, choices, rules, name)
                controls = {(control.kind, control.tail): f"{control.p:.3g}" for control in found.controls}
                yield {
                    "cell": cell.name,
                    "method": cell.method.name,
                    "encoder": cell.encoder,
                    "published": cell.published,
                    "at_home": cell.at_home,
                    "suspect": number,
                    "epochs": int(look.name.partition("-")[2]),
                    "of_epochs": cell.epochs,
                    "bfloat16": lowered,
                    "smallest_crop": crop,
                    "level": level,
                    "score": score,
                    "accuracy": round(accuracy, 4),
                    **_numbers("", found.without),
                    "references": " + ".join(names),
                    **_numbers("with_", found.with_references),
                    "wrong_key_p": controls["wrong key", "high"],
                    "reference_p": controls.get(("reference", "high"), ""),  # of the last one, as if it were a suspect
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
        by_set = {row["references"]: [one for one in those if one["references"] == row["references"]] for row in those}
        alone = {row["suspect"]: row for row in those}
        beside = "; ".join(f"{names}: {_told(own, 'with_')}" for names, own in by_set.items() if names) or "–"
        print("| " + " | ".join(map(str, (*line, probe, _told(list(alone.values()), ""), beside))) + " |")


def _told(rows: list[dict[str, Any]], prefix: str) -> str:
    """How many were found, median z with its range, median AUC."""
    z = sorted(float(row[f"{prefix}z"]) for row in rows)
    found = sum(float(row[f"{prefix}p"]) <= ALPHA for row in rows)
    auc = statistics.median(float(row[f"{prefix}auc"]) for row in rows)
    reach = f" ({z[0]:.1f} to {z[-1]:.1f})" if len(z) > 1 else ""
    return f"{found}/{len(rows)}, z {statistics.median(z):.1f}{reach}, AUC {auc:.2f}"


def fewer(options: argparse.Namespace) -> None:
    """After a cell's last epochs, density of views, crops from 0.6, all references: blocks drawn at random."""
    print("| images | suspects | level | at home | median z | p at most 0.001 | p at most 1e-6 |")
    print("|---|---|---|---|---|---|---|")
    for name in options.cells:
        cell = CELLS[name]
        pool = Pool.of(cell, options.cifar)
        for level in LEVELS:
            for count in [one for one in FEWER if one <= cell.at_home]:
                tests = list(_of_fewer(cell, level, count, pool, options))
                if not tests:
                    continue
                z, p = np.array(tests).T
                suspects = len(tests) // options.draws
                shares = (f"{(p <= most).mean():.0%}" for most in (1e-3, 1e-6))
                print(f"| {name} | {suspects} | {level} | {count:,} | {np.median(z):.1f} | {' | '.join(shares)} |")


def _of_fewer(
    cell: Cell, level: Level, count: int, pool: Pool, options: argparse.Namespace
) -> Iterator[tuple[float, float]]:
    """z and p with `count` of the blocks, for every suspect and draw."""
    for suspect in sorted((options.work / cell.name).glob("suspect-*")):
        look = suspect / f"epoch-{cell.epochs:04d}"
        if not (look / "scores.npz").exists():
            continue
        choice = choice_of(cell, int(suspect.name.partition("-")[2]), pool.labels)
        scores, others = read_scores(look, CROPS[0])[0], references_at(look, CROPS[0]).values()
        rng = np.random.default_rng([count, LEVELS.index(level)])
        for _ in range(options.draws):
            taken = np.sort(rng.choice(len(choice), count, replace=False))
            kept = np.isin(choice.block_of, taken)
            positions, block_of = choice.positions[kept], np.unique(choice.block_of[kept], return_inverse=True)[1]
            home = np.flatnonzero(np.isin(positions, choice.positions[choice.home]))
            explaining = [one[level].scores["density"][positions] for one in others]
            beside = np.stack([*pool.covariates[:, positions], *explaining])
            found = choice_test(
                reference_residual(scores[level].scores["density"][positions], beside, block_of), Blocks(block_of, home)
            )
            yield found.z, found.p
