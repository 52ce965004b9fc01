"""Ten steps of the demo's training in single precision and in bfloat16, one after the other, on one thread.

python tests/benchmarks/precision_speed.py
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from audits.pilots.precision import bfloat16_is_fast
from audits.pilots.training import train
from audits.pilots.training_set import TrainingSet
from audits.scenes import demonstration, procedural

STEPS = 10


def main() -> None:
    recipe = replace(demonstration.training_settings(0), epochs=1)
    scenes = list(procedural.scenes(demonstration.IMAGE_SEED, STEPS * recipe.batch_size, recipe.side))
    pairs = TrainingSet(np.stack([one.pixels for one in scenes]), tuple(one.caption for one in scenes))
    train(pairs, replace(recipe, bfloat16=False))  # what is loaded and compiled at the first steps is not timed
    print(f"This processor {'multiplies in' if bfloat16_is_fast() else 'only emulates'} bfloat16.")
    for half in (False, True):
        seconds = train(pairs, replace(recipe, bfloat16=half)).seconds
        print(f"{STEPS} steps of {recipe.batch_size} pairs, bfloat16 {half}: {seconds:.1f} s")


if __name__ == "__main__":
    main()
