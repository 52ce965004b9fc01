"""Tables of robustness: settings that take seconds, a stock of textures, an evader, and a finished table in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from django.utils import timezone

from audits.models import Robustness
from audits.pilots.methods import SimClr
from audits.pilots.recipe import TrainingSettings
from audits.pilots.training_set import TrainingSet
from audits.robustness.attacks.catalogue import named
from audits.robustness.copies import Copy
from audits.robustness.settings import ANY_BLOCKS, RobustnessSettings
from audits.robustness.table import BEFORE, Measured, Row, tabulated
from audits.services.code_version import code_version
from provenance.marks import WithheldSettings
from tests.world import World

NAMES = ("across", "down", "checks", "slope")
RECIPE = TrainingSettings(
    seed=0, epochs=1, batch_size=8, method=SimClr(hidden=8, outputs=8), encoder="small_resnet:8:1-1", side=16
)


def quick(*attacks: str, **changes: Any) -> RobustnessSettings:
    """One trial of a quarter at home, on 80 images."""
    usual: dict[str, Any] = {"images": 80, "trials": 1, "references": 1, "views": 3, "probes": 10, "permutations": 200}
    mark = WithheldSettings(ANY_BLOCKS, 2, 0.25)
    given: dict[str, Any] = {"recipe": RECIPE, "mark": mark, "attacks": named(attacks or ("int8",))}
    return RobustnessSettings(**given | usual | changes)


def plain_copy(images: np.ndarray, **more: Any) -> Copy:
    """Every image a picture of its own."""
    return Copy(TrainingSet(images, **more), np.arange(len(images)))


def noise_images(count: int, side: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def evader(work: Path, copy: Copy, second: Copy | None = None, seed: int = 1):
    """Whose first model is untrained, with a task of textures."""
    import torch

    from audits.robustness.evader import Evader
    from audits.robustness.suspects import Suspect, Task, empty_encoder
    from tests.audits.pilots.textures import textures

    tasks = textures(40, seed=5)
    assert tasks.labels is not None
    task = Task(tasks.images, tasks.labels, NAMES)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = Suspect.of(empty_encoder(RECIPE, task), RECIPE, task)
    return Evader(RECIPE, copy, second or copy, model, textures(24, seed=7), seed, work, lambda: None)


def stored(world: World) -> Robustness:
    """A finished table whose figures are made up: found before, lost to int8."""
    settings = quick("int8", "recaption", trials=2)

    def row(attack: str, trial: int, p: float) -> Row:
        levels: Any = {"features": Measured(-2.0 if p > 0.5 else 4.0, p, 0.7)}
        return Row(attack, trial, 30, 0.5, levels, 1.0)

    rows = [row(BEFORE, trial, 1e-5) for trial in range(2)] + [row("weights of 8 bits", trial, 0.9) for trial in (0, 1)]
    table = tabulated(settings, rows, settings.refusals(labelled=True))
    return Robustness.objects.create(
        organisation=world.owner,
        settings=settings.to_json(),
        code_version=code_version(),
        state=Robustness.State.DONE,
        table=table.to_json(),
        created_by=world.auditor,
        finished_at=timezone.now(),
    )
