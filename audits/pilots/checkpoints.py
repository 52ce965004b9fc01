"""What a training leaves after every epoch, so that a killed one goes on bit for bit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audits.pilots.checked import TrainingError
from provenance.whole_files import write_whole

FORMAT = "touchmark/training/1"


@dataclass(frozen=True)
class Checkpoint:
    """All of a training's state between two epochs."""

    subject: str  # canonical JSON of what is trained, and on what
    epoch: int  # that are done
    objective: Mapping[str, Tensor]
    optimiser: Mapping[str, Any]
    augmentation: Tensor  # states of the generators
    random: Tensor
    device_random: Tensor | None
    curve: list[dict[str, Any]]
    seconds: float

    def save(self, path: Path) -> None:
        """In place as a whole or not at all."""
        state = {"format": FORMAT, **{one.name: getattr(self, one.name) for one in fields(self)}}
        write_whole(path, lambda part: torch.save(state, part))


def read_checkpoint(path: Path, subject: str) -> Checkpoint | None:
    """The checkpoint at `path`, if there is one. Raises TrainingError for one of another training, or no checkpoint."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except Exception as error:
        raise TrainingError(f"{path.name} is no checkpoint of a training; delete it to begin anew.") from error
    if not isinstance(state, dict) or state.pop("format", None) != FORMAT:
        raise TrainingError(f"{path.name} is no checkpoint of a training; delete it to begin anew.")
    checkpoint = Checkpoint(**state)
    if checkpoint.subject != subject:
        changed = _changed(json.loads(checkpoint.subject), json.loads(subject))
        raise TrainingError(f"{path.name} belongs to another training ({changed} differ); give this one its own file.")
    return checkpoint


def _changed(before: dict[str, Any], now: dict[str, Any]) -> str:
    return ", ".join(sorted(key for key in before | now if before.get(key) != now.get(key)))
