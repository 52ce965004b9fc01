"""Calibrations in the database: a tiny one to run, and a finished one whose p-values are drawn, not computed."""

from dataclasses import asdict, replace
from functools import cache

import numpy as np
from django.utils import timezone

from audits.calibration import BenchSize, CalibrationTable, PairRules, RoundResult, tabulate
from audits.calibration.choice_pairs import CHOICE, CHOICE_OMNIBUS
from audits.calibration.pairs import (
    ASSIGNMENT,
    IN_BLOCKS,
    RANK,
    RANK_STOPPED,
    TWO_SECRETS,
    Cell,
    Drawn,
)
from audits.models import Calibration
from audits.services.calibrations import starting
from audits.services.calibrations.starting import Wanted
from audits.services.code_version import code_version
from audits.statistics.density import LEVELS
from provenance.models import Organisation, User
from tests.world import World

TINY = Wanted(
    families=("patch", "warp"),
    rounds=1,
    models=3,
    pairs=5,
    seed=7,
    stock=220,
    bench=BenchSize(groups=6, probes=8, per_group=4, sets=2, keys=16, views=2),
    rules=PairRules(references=1, decoys=15, block=5, exceedances=2, slow_pairs=2),
)
EXACT = (ASSIGNMENT, IN_BLOCKS, TWO_SECRETS, RANK, RANK_STOPPED, CHOICE, CHOICE_OMNIBUS)


def finished(
    world: World,
    *,
    families: tuple[str, ...] = ("patch", "blend", "spectral", "warp"),
    organisation: Organisation | None = None,
    by: User | None = None,
    too_often: bool = False,
    code: str = "",
    pairs: int = 2_000,
) -> Calibration:
    """A table of `pairs` per line: uniform p for exact tests (or not, if `too_often`), small ones for the others."""
    made = Calibration.objects.create(
        organisation=organisation or world.owner,
        settings=_settings(families),
        code_version=code or code_version(),
        created_by=by or world.auditor,
    )
    table = _table(families, too_often, made.code_version, pairs)
    made.table, made.holds = table.to_dict(), table.holds
    made.state, made.finished_at, made.seconds = Calibration.State.DONE, timezone.now(), 90.0
    made.save()
    return made


def _table(families: tuple[str, ...], too_often: bool, code: str, pairs: int) -> CalibrationTable:
    summed = _summed(families, too_often, pairs)
    return replace(summed, made_with={**summed.made_with, "code_version": code})


@cache
def _summed(families: tuple[str, ...], too_often: bool, pairs: int) -> CalibrationTable:
    """Once for all tests that want the same: to sum up so many p-values takes seconds."""
    asked = Calibration(settings=_settings(families))
    rng = np.random.default_rng(len(families))
    rounds = [
        RoundResult(family, _p_values(rng, too_often, pairs), {"fresh small_resnet": 6}, 0) for family in families
    ]
    return tabulate(rounds, starting.settings_of(asked), starting.marks_of(asked), "")


def _settings(families: tuple[str, ...]) -> dict:
    core = asdict(Wanted(families=families, seed=1).settings)
    return {"families": list(families), "stock": 1200, "core": core}


def _p_values(rng: np.random.Generator, too_often: bool, pairs: int) -> dict[Cell, list[Drawn]]:
    found = {}
    for level in LEVELS:
        for references in (False, True):
            for test in EXACT:
                p = rng.beta(0.3 if too_often and test == RANK else 1, 1, pairs)
                found[Cell(test, level, references, True)] = [Drawn(float(one), None) for one in p]
    for test, level in (("paired t-test", "features"), ("paired t-test", "soft"), ("view consistency", "features")):
        found[Cell(test, level, False, False)] = [Drawn(float(one), None) for one in rng.beta(0.4, 1, pairs)]
    return found
