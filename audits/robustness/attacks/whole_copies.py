"""Attacks that work on a copy as a whole: purification, other captions, two copies together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from audits.pilots.checked import real, whole
from audits.pilots.recipe import TrainingSettings
from audits.robustness.attacks.attack import CopyAttack
from audits.robustness.copies import Copy, joined
from provenance.wording import percent

if TYPE_CHECKING:  # loads torch
    from audits.robustness.evader import Evader


@dataclass(frozen=True)
class Purified(CopyAttack):
    name = "purify"
    changes = "puts every image through a small denoising autoencoder that learnt on the copy"
    epochs: int = whole(1, 1000, 5)
    noise: float = real(1, 128, 25.0)  # grey levels that it learns to take away

    @property
    def title(self) -> str:
        return f"denoising autoencoder, {self.epochs} epochs"

    def copied(self, copy: Copy, evader: Evader) -> Copy:
        from audits.robustness.purifying import purified

        return copy.looking(purified(copy.data.images, self.epochs, self.noise, evader))


@dataclass(frozen=True)
class Recaptioned(CopyAttack):
    name = "recaption"
    changes = "replaces words of captions by words of other captions"
    share: float = real(0.01, 1, 0.5)  # of all words

    @property
    def title(self) -> str:
        return f"{percent(self.share)} of the words replaced"

    def refusal(self, recipe: TrainingSettings, *, labelled: bool) -> str:
        return "" if recipe.learns_from == "captions" else "this method reads no captions"

    def copied(self, copy: Copy, evader: Evader) -> Copy:
        rng, captions = evader.rng(), copy.data.captions or ()
        stock = [word for caption in captions for word in caption.split()]

        def another(word: str) -> str:
            return stock[int(rng.integers(len(stock)))] if rng.uniform() < self.share else word

        return copy.reading(tuple(" ".join(map(another, caption.split())) for caption in captions))


@dataclass(frozen=True)
class Merged(CopyAttack):
    name = "merge"
    changes = "trains on two recipients' copies together; of a picture in both, one copy's image is taken by chance"

    @property
    def title(self) -> str:
        return "two copies merged"

    def copied(self, copy: Copy, evader: Evader) -> Copy:
        both = joined(copy, evader.second)
        order = evader.rng().permutation(len(both))
        first = np.unique(both.pictures[order], return_index=True)[1]
        return both.of(np.sort(order[first]))
