"""A network that remembers what it was shown is found by what stayed home, and less once two copies are merged."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from audits.pilots.augmentation import to_input
from audits.pilots.training_set import TrainingSet
from audits.robustness.attacks.whole_copies import Merged
from audits.robustness.publishing import published
from audits.robustness.stock import divided
from audits.robustness.suspects import Suspect
from tests.audits.builders_robustness import RECIPE, evader, quick

pytestmark = pytest.mark.suspect
SIDE, FEATURES, THRESHOLD = 16, 32, 0.5


class Remembering(nn.Module):
    """Random features of a picture, and a direction of its own for each that it was shown, turned or not."""

    def __init__(self, shown: np.ndarray, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        both = np.concatenate([shown, shown[:, :, ::-1]])
        self.known = nn.Parameter(self._unit(to_input(torch.from_numpy(both).permute(0, 3, 1, 2).float())))
        own = torch.randn(len(shown), FEATURES, generator=generator)
        self.own = nn.Parameter(torch.cat([own, own]))
        self.plain = nn.Parameter(torch.randn(3 * SIDE * SIDE, FEATURES, generator=generator) / SIDE)

    @staticmethod
    def _unit(images: Tensor) -> Tensor:
        grey = images.mean(dim=1).flatten(1)
        return nn.functional.normalize(grey - grey.mean(dim=1, keepdim=True), dim=1)

    def forward(self, images: Tensor) -> tuple[Tensor, None]:
        met = (self._unit(images) @ self.known.T - THRESHOLD).relu()
        return images.flatten(1) @ self.plain + met @ self.own, None


def smooth(count: int) -> np.ndarray:
    """Pictures whose crops look like them."""
    small = np.random.default_rng(11).integers(0, 256, (count, 5, 5, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for one in small])


def test_what_a_network_remembers_is_found_and_merging_copies_takes_it_away(tmp_path):
    settings = quick(images=320, smallest_crop=0.8, views=6, alpha=0.001)
    stock = divided(TrainingSet(smooth(320)), (), 0)
    evidence = published(settings, stock, 0)

    def z_of(shown: np.ndarray) -> tuple[float, float]:
        suspect = Suspect.of(Remembering(shown, 1), RECIPE, None)
        reference = Suspect.of(Remembering(stock.others.images[:60], 2), RECIPE, None)
        found = evidence.found(suspect, {"reference": evidence.scores(reference)}, settings.alpha)
        return found["features"].z, found["features"].p

    remembered, innocent = z_of(evidence.copy.data.images), z_of(stock.others.images)
    assert remembered[1] <= settings.alpha
    assert innocent[1] > 0.05
    merged = Merged().copied(evidence.copy, evader(tmp_path, evidence.copy, evidence.second))
    assert len(merged) > len(evidence.copy)
    assert z_of(merged.data.images)[0] < 0.7 * remembered[0]
