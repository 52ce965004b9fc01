"""What a small training run is: its network and its settings, without importing torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from audits.pilots.checked import Checked, TrainingError, real, whole
from audits.pilots.methods import Clip, Method, Moco, method_of

# Configuration in open_clip's own terms: a modified ResNet with one bottleneck per stage and a shallow transformer.
# The text tower reads open_clip's byte-pair vocabulary, which ships with the package, so prompts work offline.
TINY_CLIP: dict[str, Any] = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": 48, "layers": [1, 1, 1, 1], "width": 16, "head_width": 64},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 4, "layers": 2},
}
TINY_CLIP_NAME = "open_clip:custom"
ENCODER_NAMES = re.compile(r"small_resnet:\d{1,4}(:\d{1,3}(-\d{1,3})*)?|cifar_resnet:(20|32|44|56)|timm:[\w.-]+")
# Pixels on the scale 0..1 are brought to zero mean and about unit deviation.
MEAN = (0.5, 0.5, 0.5)
DEVIATION = (0.25, 0.25, 0.25)
# The prompt that turns class names into zero-shot labels.
PROMPT = "a {}"


@dataclass(frozen=True)
class Augmentation(Checked):
    """How views are drawn that have to meet: chances, and reaches of factors around one. After SimCLR for CIFAR."""

    smallest_crop: float = real(0.01, 1, 0.2)  # share of the area
    largest_crop: float = real(0.01, 1, 1.0)
    flipped: float = real(0, 1, 0.5)
    jittered: float = real(0, 1, 0.8)
    brightness: float = real(0, 1, 0.4)
    contrast: float = real(0, 1, 0.4)
    saturation: float = real(0, 1, 0.4)
    hue: float = real(0, 0.5, 0.1)  # of a full turn
    grey: float = real(0, 1, 0.2)
    blurred: float = real(0, 1, 0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.smallest_crop > self.largest_crop:
            raise TrainingError("The smallest crop of a training run is no larger than its largest.")


@dataclass(frozen=True)
class TrainingSettings(Checked):
    """Settings of one training run. Raises TrainingError for values out of range."""

    seed: int = whole(0, 2**63 - 1)  # initialisation, order and augmentation all derive from it, by separate streams
    epochs: int = whole(1, 10_000, 15)
    batch_size: int = whole(2, 65_536, 128)  # images per step
    learning_rate: float = real(0, 10, 1e-3)  # peak of the cosine schedule (AdamW)
    weight_decay: float = real(0, 10, 0.05)  # of all matrices; gains, biases and the temperature are not decayed
    shift: int = whole(0, 64, 4)  # CLIP and classifier: largest random shift in pixels of the input, both ways
    threads: int = whole(1, 256, 1)  # of the linear algebra
    bfloat16: bool = False  # of the encoder (autocast)
    compiled: bool = False  # the encoder, on a GPU
    method: Method = field(default_factory=Clip)
    encoder: str = TINY_CLIP_NAME
    side: int = whole(8, 1024, 48)  # of the images, in pixels
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.method, Clip):
            if self.encoder != TINY_CLIP_NAME or self.side != TINY_CLIP["vision_cfg"]["image_size"]:
                raise TrainingError(
                    "CLIP trains its own tiny network, at 48 pixels; leave encoder and side as they are."
                )
        elif not ENCODER_NAMES.fullmatch(self.encoder):
            raise TrainingError("Name the encoder as small_resnet:WIDTH, cifar_resnet:DEPTH or timm:NAME.")
        if isinstance(self.method, Moco) and self.method.queue < self.batch_size:
            raise TrainingError("MoCo's queue holds one batch or more; make it longer or the batch smaller.")

    @property
    def learns_from(self) -> str:
        return self.method.learns_from

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "method": self.method.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TrainingSettings:
        """Read what ``to_json`` wrote, now or before there were methods; raises TrainingError."""
        nested: dict[str, Any] = {}
        if "method" in value:
            nested["method"] = method_of(value["method"])
        if "augmentation" in value:
            nested["augmentation"] = Augmentation.from_json(value["augmentation"])
        return super().from_json({**value, **nested})


def steps_of(settings: TrainingSettings, images: int) -> int:
    """Optimiser steps of a run: an incomplete last batch of an epoch is left out."""
    return settings.epochs * (images // settings.batch_size)
