"""The demo's numbers, in one place for the command that runs it and for the benchmark that shows its power."""

from __future__ import annotations

from audits.pilots.recipe import TrainingSettings
from audits.scenes.procedural import CLASSES
from provenance.marks import PRESETS, MarkSettings

IMAGES = 4000
IMAGE_SEED = 1
IMAGE_SIDE = 64
PROBES = 300
GROUP_IMAGES = 50  # clean images of every group that pulls are measured towards
PERMUTATIONS = 1_000_000
HOME = 0.08  # share of the images that stay home, one of each block
VIEWS = 6  # of every image of a block
MEMBERSHIP_SCORE = "caption"
ALPHA = 0.01
REFERENCES = 2


def mark_settings() -> MarkSettings:
    """Marks by the word that captions contain, as strong as the preset says."""
    return PRESETS["strong"].settings(CLASSES, group_by="word", share=0.15)


def training_settings(seed: int) -> TrainingSettings:
    """The same recipe for every model of the demo; only the seed differs. bfloat16 where this machine has it."""
    from audits.pilots.precision import bfloat16_is_fast  # torch, which a command's --help need not wait for

    return TrainingSettings(seed=seed, epochs=12, batch_size=64, bfloat16=bfloat16_is_fast())
