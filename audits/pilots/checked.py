"""Settings whose fields say between which bounds they lie."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, Self

from provenance.errors import TouchmarkError


class TrainingError(TouchmarkError):
    """Settings or data from which no model can be trained; the message says what to change."""


def whole(low: int, high: int, default: int | None = None) -> Any:
    """A field for a whole number; one without a default has to be given."""
    return field(default=MISSING if default is None else default, metadata={"bounds": (low, high), "type": int})


def real(low: float, high: float, default: float) -> Any:
    """A field for a number."""
    return field(default=default, metadata={"bounds": (low, high), "type": int | float})


@dataclass(frozen=True)
class Checked:
    """Frozen settings; raises TrainingError for values of another type or out of range."""

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.type == "bool" and not isinstance(value, bool):
                raise TrainingError(f"{one.name} is true or false.")
            if "bounds" in one.metadata:
                self._check(one.name, value, one.metadata["type"], *one.metadata["bounds"])

    def _check(self, name: str, value: Any, kind: Any, low: float, high: float) -> None:
        number = isinstance(value, kind) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not low <= value <= high:
            raise TrainingError(f"For “{name.replace('_', ' ')}” give a number from {low} to {high}.")

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready mapping that ``from_json`` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote; raises TrainingError for fields that are missing or not known."""
        known = {one.name for one in fields(cls)}
        needed = {one.name for one in fields(cls) if one.default is MISSING and one.default_factory is MISSING}
        if not needed <= set(value) <= known:
            raise TrainingError("A training run has a seed, and no settings but those listed in its form.")
        return cls(**value)
