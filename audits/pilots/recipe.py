"""What a small training run is: its network and its settings, without importing torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from provenance.errors import TouchmarkError

# Configuration in open_clip's own terms: a modified ResNet with one bottleneck per stage and a shallow transformer.
# The text tower reads open_clip's byte-pair vocabulary, which ships with the package, so prompts work offline.
TINY_CLIP: dict[str, Any] = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": 48, "layers": [1, 1, 1, 1], "width": 16, "head_width": 64},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 4, "layers": 2},
}
# Pixels on the scale 0..1 are brought to zero mean and about unit deviation.
MEAN = (0.5, 0.5, 0.5)
DEVIATION = (0.25, 0.25, 0.25)
# The prompt that turns class names into zero-shot labels.
PROMPT = "a {}"


class TrainingError(TouchmarkError):
    """Settings or data from which no model can be trained; the message says what to change."""


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of one training run. Raises TrainingError for values out of range."""

    seed: int  # initialisation, order of the images and augmentation all derive from it, by separate streams
    epochs: int = 15
    batch_size: int = 128  # pairs per step
    learning_rate: float = 1e-3  # peak of the cosine schedule (AdamW)
    weight_decay: float = 0.05  # of all matrices; gains, biases and the temperature are not decayed
    shift: int = 4  # largest random shift in pixels of the input, both ways
    threads: int = 1  # of the linear algebra
    bfloat16: bool = False  # of the image tower (autocast)

    def __post_init__(self) -> None:
        for name, low, high in (
            ("seed", 0, 2**63 - 1),
            ("epochs", 1, 10_000),
            ("batch_size", 2, 65_536),
            ("shift", 0, 64),
            ("threads", 1, 256),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise TrainingError(f"The {name.replace('_', ' ')} of a training run lies between {low} and {high}.")
        for name in ("learning_rate", "weight_decay"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= 10:
                raise TrainingError(f"The {name.replace('_', ' ')} of a training run lies between 0 and 10.")
        if not isinstance(self.bfloat16, bool):
            raise TrainingError("bfloat16 is true or false.")

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready mapping that ``from_json`` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TrainingSettings:
        """Read what ``to_json`` wrote; raises TrainingError for fields that are missing or not known."""
        known = {field.name for field in fields(cls)}
        if "seed" not in value or not set(value) <= known:
            raise TrainingError("A training run has a seed, and no settings but those listed in its form.")
        return cls(**value)


def steps_of(settings: TrainingSettings, images: int) -> int:
    """Optimiser steps of a run: an incomplete last batch of an epoch is left out."""
    return settings.epochs * (images // settings.batch_size)
