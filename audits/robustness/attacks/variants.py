"""Strong augmentation: several variants of every image, drawn before the training, which has fewer epochs then.

As many steps are made as without them. Learners that draw them anew in every epoch would see more of them.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from audits.pilots.checked import TrainingError, real, whole
from audits.pilots.recipe import TrainingSettings
from audits.robustness.attacks.attack import CopyAttack, TrainingAttack
from audits.robustness.attacks.pixels import AT_ONCE, Pixels
from audits.robustness.copies import Copy, Ints
from provenance.wording import percent

if TYPE_CHECKING:  # loads torch
    from audits.robustness.evader import Evader

MIDDLE_GREY = 128


@dataclass(frozen=True)
class OfVariants(CopyAttack):
    variants: int = whole(1, 64, 4)  # of every image

    def refusal(self, recipe: TrainingSettings, *, labelled: bool) -> str:
        if recipe.epochs < self.variants:
            return f"takes {self.variants} epochs or more, for there are as many variants of every image"
        return ""

    def recipe(self, recipe: TrainingSettings) -> TrainingSettings:
        return replace(recipe, epochs=max(1, round(recipe.epochs / self.variants)))

    def copied(self, copy: Copy, evader: Evader) -> Copy:
        rng = evader.rng()
        many = copy.of(np.tile(np.arange(len(copy)), self.variants))
        return self.drawn(many, rng, evader)

    @abstractmethod
    def drawn(self, copy: Copy, rng: np.random.Generator, evader: Evader) -> Copy:
        """One variant of every image."""


@dataclass(frozen=True)
class RandAugmented(OfVariants):
    """Cubuk et al. 2020, by torchvision."""

    name = "randaugment"
    changes = "trains on variants by random operations of fixed strength"
    operations: int = whole(1, 14, 2)
    magnitude: int = whole(0, 30, 9)

    @property
    def title(self) -> str:
        return f"RandAugment, {self.operations} operations of magnitude {self.magnitude}"

    def drawn(self, copy: Copy, rng: np.random.Generator, evader: Evader) -> Copy:
        import torch
        from torchvision.transforms.v2 import RandAugment

        change, images = RandAugment(self.operations, self.magnitude, fill=[MIDDLE_GREY] * 3), copy.data.images.copy()
        with torch.random.fork_rng(devices=[]):  # torchvision draws from torch's global numbers
            torch.manual_seed(evader.seed)
            for number in range(len(images)):
                if number % AT_ONCE == 0:
                    evader.told()
                pixels = torch.from_numpy(images[number]).permute(2, 0, 1)
                images[number] = change(pixels).permute(1, 2, 0).numpy()
        return copy.looking(images)


@dataclass(frozen=True)
class Erased(OfVariants):
    """Zhong et al. 2020: a rectangle of noise at a random place."""

    name = "erasing"
    changes = "trains on variants with a rectangle of noise at a random place"
    least: float = real(0.01, 1, 0.02)  # share of the area
    most: float = real(0.01, 1, 0.33)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.least > self.most:
            raise TrainingError("The smallest rectangle that is erased is no larger than the largest.")

    @property
    def title(self) -> str:
        return f"random erasing of {percent(self.least)} to {percent(self.most)}"

    def drawn(self, copy: Copy, rng: np.random.Generator, evader: Evader) -> Copy:
        images = copy.data.images.copy()
        for image in images:
            rows, columns = _rectangle(image, rng.uniform(self.least, self.most), rng)
            image[rows, columns] = rng.integers(0, 256, image[rows, columns].shape, dtype=np.uint8)
        return copy.looking(images)


@dataclass(frozen=True)
class CutMixed(OfVariants):
    """Yun et al. 2019: a rectangle of another image; caption and class are those of the image that shows more."""

    name = "cutmix"
    changes = "trains on variants that hold a rectangle of another image"

    @property
    def title(self) -> str:
        return "CutMix"

    def drawn(self, copy: Copy, rng: np.random.Generator, evader: Evader) -> Copy:
        images, partners = copy.data.images.copy(), rng.permutation(len(copy))
        leading: Ints = np.arange(len(copy))
        for number, partner in enumerate(partners):
            share = float(rng.uniform())
            rows, columns = _rectangle(images[number], share, rng)
            images[number][rows, columns] = copy.data.images[partner][rows, columns]
            leading[number] = partner if share > 0.5 else number
        return copy.of(leading).looking(images)


def _rectangle(image: Pixels, share: float, rng: np.random.Generator) -> tuple[slice, slice]:
    """A rectangle of this share of the area, of the image's proportions, wholly inside."""
    places = []
    for length in image.shape[:2]:
        own = min(length, max(1, round(length * share**0.5)))
        start = int(rng.integers(0, length - own + 1))
        places.append(slice(start, start + own))
    return places[0], places[1]


@dataclass(frozen=True)
class StrongViews(TrainingAttack):
    """The learner's own views, drawn anew in every epoch, as far apart as its settings allow within reason."""

    name = "strong-views"
    changes = "draws views that are further apart: smaller crops, stronger colours, more grey and blur"

    @property
    def title(self) -> str:
        return "stronger views"

    def refusal(self, recipe: TrainingSettings, *, labelled: bool) -> str:
        return "" if recipe.learns_from == "pictures" else "this method draws no views"

    def recipe(self, recipe: TrainingSettings) -> TrainingSettings:
        strong = replace(
            recipe.augmentation,
            smallest_crop=0.08,
            jittered=1.0,
            brightness=0.8,
            contrast=0.8,
            saturation=0.8,
            hue=0.2,
            grey=0.3,
            blurred=0.5,
        )
        return replace(recipe, augmentation=strong)
