"""Who trains on a copy and does not want that to be found: what he has at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Generator

from audits.pilots.recipe import TrainingSettings
from audits.pilots.training import Following, Progress, Trained, train
from audits.pilots.training_set import TrainingSet
from audits.robustness.copies import Copy
from audits.robustness.suspects import Suspect


@dataclass(frozen=True)
class Evader:
    """He knows how marks work, but neither the key nor which images stayed home.

    recipe: how he trains. copy: as he got it; second: another recipient's. model: trained by him on the copy as it is.
    clean: images of the same kind that no copy holds. seed: of all that he draws. work: a folder of his own. told:
    called again and again while he computes; may raise to stop.
    """

    recipe: TrainingSettings
    copy: Copy
    second: Copy
    model: Suspect
    clean: TrainingSet
    seed: int
    work: Path
    told: Callable[[], None]

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    def generator(self) -> Generator:
        """On the model's device."""
        return Generator(self.model.device).manual_seed(self.seed)

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """``(N, d)`` of ``(N, S, S, 3)``, by his first model."""
        found: NDArray[np.float64] = self.model.features(images).double().cpu().numpy()
        return found

    def trained(self, data: TrainingSet, recipe: TrainingSettings, begin_with: Path | None = None) -> Trained:
        """Trains once more, in the recipe's own steps."""

        def told(progress: Progress) -> None:
            self.told()

        return train(data, recipe, Following(told), begin_with=begin_with, device=self.model.device)
