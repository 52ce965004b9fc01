"""What all attacks have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from audits.pilots.checked import Checked
from audits.pilots.recipe import TrainingSettings
from audits.robustness.copies import Copy

if TYPE_CHECKING:  # load torch
    from audits.robustness.evader import Evader
    from audits.robustness.suspects import Suspect

Stage = Literal["copy", "training", "model"]


@dataclass(frozen=True)
class Attack(Checked, ABC):
    """Settings of one attack. name: in stored tables; changes: what it does, for people."""

    name: ClassVar[str]
    stage: ClassVar[Stage]
    changes: ClassVar[str]

    @property
    @abstractmethod
    def title(self) -> str:
        """With its settings, for a line of a table."""

    def refusal(self, recipe: TrainingSettings, *, labelled: bool) -> str:
        """Why it cannot be measured with this recipe, or with images that have no classes; "" where it can."""
        return ""

    def recipe(self, recipe: TrainingSettings) -> TrainingSettings:
        """How the evader trains then."""
        return recipe

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, **super().to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return super().from_json({key: item for key, item in value.items() if key != "name"})


class CopyAttack(Attack):
    """Changes the copy before anything is trained on it."""

    stage = "copy"

    @abstractmethod
    def copied(self, copy: Copy, evader: Evader) -> Copy:
        """What is trained on instead."""


class TrainingAttack(Attack):
    """Changes nothing but the recipe."""

    stage = "training"


class ModelAttack(Attack):
    """Changes a model that was trained on the copy, or its answers."""

    stage = "model"

    @abstractmethod
    def offered(self, evader: Evader) -> Suspect:
        """The model that is offered instead of the evader's first one."""
