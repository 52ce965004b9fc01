"""Attacks on what a model answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from audits.pilots.checked import real, whole
from audits.pilots.recipe import TrainingSettings
from audits.robustness.attacks.attack import ModelAttack
from provenance.wording import percent

if TYPE_CHECKING:  # loads torch
    from audits.robustness.evader import Evader
    from audits.robustness.suspects import Suspect


class OfLabels(ModelAttack):
    """Changes soft labels alone."""

    def refusal(self, recipe: TrainingSettings, *, labelled: bool) -> str:
        return "" if labelled else "the images have no classes, so there are no soft labels"


@dataclass(frozen=True)
class NoisyFeatures(ModelAttack):
    name = "feature-noise"
    changes = "adds noise to the features of every answer, anew each time"
    deviation: float = real(0.001, 100, 0.5)  # of each dimension's own

    @property
    def title(self) -> str:
        return f"feature noise of {self.deviation:g} deviations"

    def offered(self, evader: Evader) -> Suspect:
        from audits.robustness.weights import noisy

        return evader.model.answering(noisy(evader, self.deviation))


@dataclass(frozen=True)
class Smoothed(OfLabels):
    name = "smooth"
    changes = "mixes soft labels with equal chances"
    share: float = real(0.001, 0.999, 0.3)

    @property
    def title(self) -> str:
        return f"answers smoothed by {percent(self.share)}"

    def offered(self, evader: Evader) -> Suspect:
        from audits.robustness.weights import smoothed

        return evader.model.answering(smoothed(self.share))


@dataclass(frozen=True)
class Rounded(OfLabels):
    name = "round"
    changes = "rounds soft labels down, as a service that shows few decimals"
    decimals: int = whole(0, 6, 1)

    @property
    def title(self) -> str:
        return f"answers rounded to {self.decimals} decimals" if self.decimals != 1 else "answers rounded to 1 decimal"

    def offered(self, evader: Evader) -> Suspect:
        from audits.robustness.weights import rounded

        return evader.model.answering(rounded(self.decimals))


@dataclass(frozen=True)
class OnlyFamiliar(ModelAttack):
    name = "only-familiar"
    changes = "answers only where the features lie among those of the copy (k-distance)"
    refused: float = real(0.001, 0.9, 0.05)  # share of clean images that would be refused
    neighbours: int = whole(1, 1000, 10)

    @property
    def title(self) -> str:
        return f"no answers outside the distribution, as {percent(self.refused)} of clean images are"

    def offered(self, evader: Evader) -> Suspect:
        from audits.robustness.weights import only_familiar

        return evader.model.answering(only_familiar(evader, self.refused, self.neighbours))
