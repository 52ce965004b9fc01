"""Images that small encoders learn at once: one of four textures each, in any colour."""

import numpy as np

from audits.pilots.training_set import TrainingSet

SIDE = 16


def textures(count: int = 64, seed: int = 0) -> TrainingSet:
    """Stripes across, stripes down, checks, and a slope; classes in turn."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    waves = np.stack([rows // 2 % 2, columns // 2 % 2, (rows // 2 + columns // 2) % 2, (rows + columns) / 30])
    labels = np.arange(count) % len(waves)
    colours = rng.uniform(60, 180, (count, 1, 1, 3)) * waves[labels][..., None]
    images = 30 + colours + rng.normal(0, 8, (count, SIDE, SIDE, 3))
    return TrainingSet(images.clip(0, 255).astype(np.uint8), labels=labels)
