"""The table: what was found before and after each attack, trial by trial, and how often. No torch."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from audits.judging.bases import BASES, Basis, bases_shown
from audits.robustness.attacks.attack import Stage
from audits.robustness.settings import RobustnessSettings
from audits.statistics.binomial import clopper_pearson
from provenance.wording import percent

BEFORE = "none"
CONFIDENCE = 0.99
FORMAT = "touchmark/robustness/1"


@dataclass(frozen=True)
class Measured:
    """One level of one trial, or one score of it: with references where there were some; auc of a single score of a
    keyed choice alone."""

    z: float
    p: float
    auc: float | None = None


@dataclass(frozen=True)
class Row:
    """One trial before or after one attack. images: that were trained on; accuracy: of the task.

    levels: those that the model answered at, and single scores of features where captions were asked about; failed: the
    sentence of what could not be done.
    """

    attack: str  # its title; BEFORE for none
    trial: int
    images: int
    accuracy: float | None
    levels: Mapping[Basis, Measured]
    seconds: float
    failed: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Row:
        levels = {level: Measured(**given) for level, given in value["levels"].items()}
        return cls(**{**value, "levels": levels})


@dataclass(frozen=True)
class Power:
    """One level over all trials of a line: how many were found at alpha, with the 99 % interval of that share."""

    found: int
    trials: int
    share: float
    low: float
    high: float
    median_z: float

    @classmethod
    def of(cls, measured: list[Measured], alpha: float) -> Power:
        found, trials = sum(one.p <= alpha for one in measured), len(measured)
        z = statistics.median(one.z for one in measured)
        return cls(found, trials, found / trials, *clopper_pearson(found, trials, CONFIDENCE), z)


@dataclass(frozen=True)
class Line:
    """One attack over all trials, or none. refused: why it was not measured with these settings."""

    attack: str
    stage: Stage | None
    changes: str
    trials: int
    accuracy: float | None  # the mean
    images: float | None
    powers: Mapping[Basis, Power]
    failed: tuple[str, ...] = ()
    refused: str = ""


@dataclass(frozen=True)
class RobustnessTable:
    """Lines in the order of the settings' attacks, behind that of no attack."""

    settings: RobustnessSettings
    lines: tuple[Line, ...]
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "settings": self.settings.to_json(),
            "lines": [asdict(line) for line in self.lines],
            "rows": [row.to_json() for row in self.rows],
        }

    @property
    def bases(self) -> list[Basis]:
        """What there is a column for."""
        return bases_shown(line.powers for line in self.lines)

    def to_markdown(self) -> str:
        heads = ["attack", "images", "accuracy", *(f"{basis}: found, median z" for basis in self.bases)]
        texts = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
        texts += ["| " + " | ".join(_cells(line, self.bases)) + " |" for line in self.lines]
        return "\n".join(texts)


def read_row(file: Path) -> Row:
    """One that a run has kept."""
    return Row.from_json(json.loads(file.read_text(encoding="utf-8")))


def rows_so_far(work: Path) -> list[Row]:
    """All that a run has kept by now, trial by trial."""
    return [read_row(file) for file in sorted(work.glob("trial-*/*.json"))]


def tabulated(
    settings: RobustnessSettings, rows: Iterable[Row], refused: Mapping[str, str] | None = None
) -> RobustnessTable:
    """refused: by title of the attack, why it was not measured."""
    given, why = tuple(rows), refused or {}
    none = _line(BEFORE, None, "", given, settings.alpha)
    lines = [_line(one.title, one.stage, one.changes, given, settings.alpha, why) for one in settings.attacks]
    return RobustnessTable(settings, (none, *lines), given)


def table_of(value: Mapping[str, Any]) -> RobustnessTable:
    """From what `to_json` wrote."""
    settings = RobustnessSettings.from_json(value["settings"])
    refused = {line["attack"]: line["refused"] for line in value["lines"] if line["refused"]}
    return tabulated(settings, map(Row.from_json, value["rows"]), refused)


def _line(
    title: str,
    stage: Stage | None,
    changes: str,
    rows: tuple[Row, ...],
    alpha: float,
    refused: Mapping[str, str] | None = None,
) -> Line:
    own = [row for row in rows if row.attack == title]
    done = [row for row in own if not row.failed]
    accuracies = [row.accuracy for row in done if row.accuracy is not None]
    powers = {
        basis: Power.of(measured, alpha)
        for basis in BASES
        if (measured := [row.levels[basis] for row in done if basis in row.levels])
    }
    return Line(
        attack=title,
        stage=stage,
        changes=changes,
        trials=len(done),
        accuracy=statistics.fmean(accuracies) if accuracies else None,
        images=statistics.fmean(row.images for row in done) if done else None,
        powers=powers,
        failed=tuple(dict.fromkeys(row.failed for row in own if row.failed)),
        refused=(refused or {}).get(title, ""),
    )


def _cells(line: Line, bases: Sequence[Basis]) -> list[str]:
    if line.refused or not line.trials:
        why = line.refused or "; ".join(line.failed) or "not yet"
        return [line.attack, f"not measured: {why}", "", *[""] * len(bases)]
    images = "" if line.images is None else f"{line.images:,.0f}"
    accuracy = "" if line.accuracy is None else percent(line.accuracy)
    powers = [line.powers.get(basis) for basis in bases]
    told = ["–" if one is None else f"{one.found} of {one.trials}, {one.median_z:.1f}" for one in powers]
    return [line.attack, images, accuracy, *told]
