"""Classification, as the contrast to all that learn without classes."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional

from audits.pilots.augmentation import channels_first, mirrored, shifted, to_input
from audits.pilots.checked import TrainingError
from audits.pilots.methods import Supervised
from audits.pilots.objectives.objective import OfViews, Views
from audits.pilots.recipe import TrainingSettings
from audits.pilots.training_set import TrainingSet


class SupervisedObjective(OfViews):
    """Cross-entropy over the classes of shifted and mirrored images."""

    labels: Tensor

    def __init__(self, settings: TrainingSettings, data: TrainingSet, method: Supervised) -> None:
        if data.labels is None:
            raise TrainingError("A classifier needs a class for every image; choose a method that learns without.")
        super().__init__(settings, int(data.labels.max()) + 1)
        self.smoothing = method.smoothing
        self.register_buffer("labels", torch.from_numpy(data.labels), persistent=False)

    def prepared(self, images: Tensor, generator: Generator) -> Views:
        moved = shifted(images, self.settings.shift, generator)
        return (to_input(channels_first(mirrored(moved, self.settings.augmentation.flipped, generator))),)

    def loss(self, views: Views, chosen: Tensor) -> Tensor:
        with self.lowered(views[0].device):
            logits = self.encoder(views[0])[1]
        return functional.cross_entropy(logits.float(), self.labels[chosen], label_smoothing=self.smoothing)
