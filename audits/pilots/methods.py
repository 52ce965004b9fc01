"""The ways in which an encoder learns, each with its own settings; without importing torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from audits.pilots.checked import Checked, TrainingError, real, whole


@dataclass(frozen=True)
class Method(Checked):
    """What all have in common: a name in settings, a title for pages, and what it learns from beside pictures."""

    name: ClassVar[str]
    title: ClassVar[str]
    learns_from: ClassVar[str] = "pictures"  # "captions" and "classes" are the others

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, **super().to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return super().from_json({key: item for key, item in value.items() if key != "name"})


@dataclass(frozen=True)
class Clip(Method):
    """Radford et al. 2021: a picture meets its caption."""

    name = "clip"
    title = "CLIP"
    learns_from = "captions"


@dataclass(frozen=True)
class Supervised(Method):
    """A classifier, as the contrast to all others."""

    name = "supervised"
    title = "supervised classifier"
    learns_from = "classes"
    smoothing: float = real(0, 0.9, 0.0)  # of the labels


@dataclass(frozen=True)
class SimClr(Method):
    """Chen et al. 2020a: two views of a picture meet, those of all others in the batch part."""

    name = "simclr"
    title = "SimCLR"
    temperature: float = real(0.01, 10, 0.2)
    hidden: int = whole(1, 65_536, 128)  # width of the projector
    outputs: int = whole(2, 65_536, 64)


@dataclass(frozen=True)
class Moco(Method):
    """He et al. 2020, Chen et al. 2020b (v2): as SimCLR, against a queue of what a slower encoder said."""

    name = "moco"
    title = "MoCo v2"
    temperature: float = real(0.01, 10, 0.2)
    hidden: int = whole(1, 65_536, 128)
    outputs: int = whole(2, 65_536, 64)
    queue: int = whole(1, 1_048_576, 4096)
    momentum: float = real(0, 1, 0.99)
    parts: int = whole(1, 64, 4)  # of a batch, shuffled, that the slower encoder normalises apart


@dataclass(frozen=True)
class Byol(Method):
    """Grill et al. 2020: one view foretells what a slower encoder says of the other."""

    name = "byol"
    title = "BYOL"
    hidden: int = whole(1, 65_536, 256)
    outputs: int = whole(2, 65_536, 64)
    momentum: float = real(0, 1, 0.99)  # at first; it rises to one


@dataclass(frozen=True)
class SimSiam(Method):
    """Chen and He 2021: one view foretells the other, which teaches without learning."""

    name = "simsiam"
    title = "SimSiam"
    hidden: int = whole(1, 65_536, 128)
    outputs: int = whole(2, 65_536, 128)
    bottleneck: int = whole(1, 65_536, 32)


@dataclass(frozen=True)
class Dino(Method):
    """Caron et al. 2021: small crops are told what a slower encoder makes of large ones."""

    name = "dino"
    title = "DINO-style self-distillation"
    hidden: int = whole(1, 65_536, 256)
    outputs: int = whole(2, 65_536, 64)  # of the bottleneck before the prototypes
    prototypes: int = whole(2, 131_072, 512)
    temperature: float = real(0.01, 10, 0.1)
    teacher_temperature: float = real(0.001, 10, 0.04)
    momentum: float = real(0, 1, 0.99)  # at first; it rises to one
    centring: float = real(0, 1, 0.9)
    small_crops: int = whole(0, 16, 2)


METHODS: dict[str, type[Method]] = {
    method.name: method for method in (Clip, SimClr, Moco, Byol, SimSiam, Dino, Supervised)
}


def method_of(value: Mapping[str, Any]) -> Method:
    """Read what a method's ``to_json`` wrote; raises TrainingError."""
    name = value.get("name") if isinstance(value, Mapping) else None
    if name not in METHODS:
        raise TrainingError(f"A training run learns by one of these methods: {', '.join(METHODS)}.")
    return METHODS[name].from_json(value)
