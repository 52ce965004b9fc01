"""A small stock of images with classes, drawn once for all calibration tests."""

from __future__ import annotations

from functools import cache

import numpy as np

from audits.calibration import BenchSize, CalibrationSettings, PairRules
from audits.scenes.procedural import CLASSES, scenes
from provenance.marks import MarkSettings

GROUPS = 6
MARKS = MarkSettings(groups=tuple(f"group {g}" for g in range(GROUPS)), opacity=1.0)
FAST_KINDS = ("fresh small_resnet", "trained small_resnet")
TINY = CalibrationSettings(
    rounds=1,
    models=3,
    pairs=4,
    bench=BenchSize(groups=GROUPS, probes=8, per_group=4, sets=2, keys=16, views=2),
    rules=PairRules(references=1, decoys=15, block=5, exceedances=2, slow_pairs=2),
    kinds=("fresh small_resnet",),
)


@cache
def stock() -> tuple[np.ndarray, np.ndarray]:
    drawn = list(scenes(5, 300, 20))
    return np.stack([scene.pixels for scene in drawn]), np.array([CLASSES.index(scene.label) for scene in drawn])
