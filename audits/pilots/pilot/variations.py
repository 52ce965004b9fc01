"""What is changed in a pilot to see whether it holds elsewhere too: one thing at a time. Torch-free.

A variation is written as KIND:VALUE, as in "method:byol", "encoder:small_resnet:32", "side:24", "mixed:0.5" (part of
other images among those that are learnt) or "task:merged" (labels of the linear probe; nothing is trained for it).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from audits.pilots.checked import TrainingError
from audits.pilots.methods import METHODS
from provenance.wording import percent

LEAST_MIXED, MOST_MIXED = 0.1, 0.9
TASKS = {"merged": "classes merged into two halves", "brightness": "three degrees of brightness as labels"}
MOST_VARIATIONS = 12


@dataclass(frozen=True)
class Variation:
    """One thing that differs from what the pilot plans."""

    kind: str
    value: str

    @classmethod
    def read(cls, text: str) -> Variation:
        """Raises TrainingError."""
        kind, _, value = text.partition(":")
        checks: dict[str, Callable[[str], bool]] = {
            "method": lambda name: name in METHODS,
            "encoder": bool,
            "side": _is_side,
            "mixed": _is_share,
            "task": lambda name: name in TASKS,
        }
        if kind not in checks or not checks[kind](value):
            raise TrainingError(
                f"“{text}” is no variation: write method:NAME, encoder:NAME, side:PIXELS, mixed:PART with a part of "
                f"{LEAST_MIXED:g} to {MOST_MIXED:g}, or task:NAME with one of {', '.join(TASKS)}."
            )
        return cls(kind, value)

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"

    @property
    def is_trained(self) -> bool:
        return self.kind != "task"

    @property
    def method(self) -> str | None:
        return self.value if self.kind == "method" else None

    @property
    def encoder(self) -> str | None:
        return self.value if self.kind == "encoder" else None

    @property
    def side(self) -> int | None:
        return int(self.value) if self.kind == "side" else None

    @property
    def mixed(self) -> float:
        """Part of other images among all that are learnt."""
        return float(self.value) if self.kind == "mixed" else 0.0

    def others(self, published: int) -> int:
        """Other images beside so many published ones."""
        return round(published * self.mixed / (1 - self.mixed))

    @property
    def title(self) -> str:
        """ "learnt by BYOL", "50 % other images mixed in" """
        words = {
            "method": lambda: f"learnt by {METHODS[self.value].title}",
            "encoder": lambda: f"network {self.value}",
            "side": lambda: f"images of {self.value} pixels",
            "mixed": lambda: f"{percent(self.mixed)} other images mixed in",
            "task": lambda: TASKS[self.value],
        }
        return words[self.kind]()


def _is_side(value: str) -> bool:
    return value.isdecimal() and 8 <= int(value) <= 256


def _is_share(value: str) -> bool:
    try:
        return LEAST_MIXED <= float(value) <= MOST_MIXED
    except ValueError:
        return False
