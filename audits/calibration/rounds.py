"""A calibration from beginning to end: rounds of null models on benches, each resumable, then one table.

Imports torch inside functions only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audits.calibration.bench import BenchSize, draw_bench
from audits.calibration.choice_pairs import Drawn
from audits.calibration.pairs import Cell, PairRules, pair_p_values
from audits.calibration.responses import measure
from audits.calibration.table import CalibrationTable, make_row
from audits.statistics.density import LEVELS
from provenance.errors import TouchmarkError
from provenance.marks import MarkSettings

if TYPE_CHECKING:
    from audits.calibration.null_models import NullModel


class CalibrationError(TouchmarkError):
    """A calibration that cannot be run as set; the sentence says what to change."""


@dataclass(frozen=True)
class CalibrationSettings:
    """How much is calibrated: rounds x models null models, rounds x pairs p-values per test and level.

    kinds: of fresh null models, taking turns; empty for all that `audits.calibration.null_models.KINDS` names.
    """

    rounds: int = 2
    models: int = 6
    pairs: int = 150
    bench: BenchSize = field(default_factory=BenchSize)
    rules: PairRules = field(default_factory=PairRules)
    seed: int = 0
    kinds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if min(self.rounds, self.pairs) < 1 or self.models <= self.rules.references:
            raise CalibrationError("A calibration needs a round, a pair, and more models than references.")


@dataclass(frozen=True)
class RoundResult:
    """p-values of one round; store it when the round is done, and a killed job goes on with the next.

    models: number of each kind; silent: (model, level) pairs that were left out because the model says the same to
    everything at that level.
    """

    family: str
    p_values: dict[Cell, list[Drawn]]
    models: dict[str, int]
    silent: int

    def to_dict(self) -> dict[str, Any]:
        cells = [
            {"cell": list(cell), "p": [drawn.p for drawn in found], "grid": [drawn.grid for drawn in found]}
            for cell, found in self.p_values.items()
        ]
        return {"family": self.family, "cells": cells, "models": self.models, "silent": self.silent}

    @classmethod
    def from_dict(cls, source: dict[str, Any]) -> RoundResult:
        p_values = {
            Cell(*item["cell"]): [Drawn(p, grid) for p, grid in zip(item["p"], item["grid"], strict=True)]
            for item in source["cells"]
        }
        return cls(source["family"], p_values, dict(source["models"]), source["silent"])


def calibrate_round(
    settings: CalibrationSettings,
    marks: MarkSettings,
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    number: int,
    further_models: Sequence[NullModel] = (),
    on_step: Callable[[], None] | None = None,
) -> RoundResult:
    """One round: a fresh bench, fresh null models, `settings.pairs` pairs per test and level.

    images (n, H, W, 3) uint8, labels (n,): a stock to draw probes and group images from. further_models: models that
    never saw any release, asked beside the fresh ones. on_step: called after every model and before every pair; it may
    raise to stop.
    """
    from audits.calibration.null_models import KINDS, null_models
    from audits.pilots.threads import linear_algebra_threads

    told = on_step or (lambda: None)
    seed = settings.seed * 1_000_003 + number
    bench = draw_bench(images, labels, marks, settings.bench, seed)
    with linear_algebra_threads(1):  # networks so small gain nothing by more, and lose much where others compute too
        fresh = null_models(settings.models, seed, bench.spare_images, bench.spare_labels, settings.kinds or KINDS)
        responses = []
        for model in (*fresh, *further_models):
            responses.append(measure(model, bench))
            told()
    return RoundResult(
        family=marks.family,
        p_values=pair_p_values(responses, bench, settings.rules, settings.pairs, seed, told),
        models=dict(Counter(response.kind for response in responses)),
        silent=sum(response.silent for response in responses),
    )


def tabulate(
    rounds: Iterable[RoundResult], settings: CalibrationSettings, marks: Sequence[MarkSettings], code_version: str
) -> CalibrationTable:
    """One table of all rounds, of one family or several; code_version: what the table stands for, such as a commit.

    marks: the settings of every family that was calibrated.
    """
    gathered: dict[tuple[str, Cell], list[Drawn]] = {}
    models: Counter[str] = Counter()
    silent = 0
    for result in rounds:
        models.update(result.models)
        silent += result.silent
        for cell, found in result.p_values.items():
            gathered.setdefault((result.family, cell), []).extend(found)
    rows = [
        make_row(
            cell.test, cell.level, family, cell.references, cell.exact, [d.p for d in found], [d.grid for d in found]
        )
        for (family, cell), found in sorted(
            gathered.items(), key=lambda item: (not item[0][1].exact, item[0][1].test, *_order(item[0]))
        )
    ]
    made_with = {
        "code_version": code_version,
        "settings": asdict(settings),
        "marks": [one.to_dict() for one in marks],
        "models": dict(models),
        "silent": silent,
    }
    return CalibrationTable(tuple(rows), made_with)


def _order(key: tuple[str, Cell]) -> tuple[str, int, bool]:
    family, cell = key
    return family, [*LEVELS].index(cell.level), cell.references  # type: ignore[arg-type]


def calibrate(
    settings: CalibrationSettings,
    marks: MarkSettings,
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    code_version: str,
    further_models: Sequence[NullModel] = (),
    progress: Callable[[int, int], None] | None = None,
) -> CalibrationTable:
    """All rounds and their table, for notebooks, tests and scripts; a job calls the rounds one by one."""
    results = []
    for number in range(settings.rounds):
        results.append(calibrate_round(settings, marks, images, labels, number, further_models))
        if progress is not None:
            progress(number + 1, settings.rounds)
    return tabulate(results, settings, [marks], code_version)
