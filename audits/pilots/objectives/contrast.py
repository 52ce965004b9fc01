"""Views of one picture meet, those of others part: SimCLR and MoCo v2."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from audits.pilots.checked import TrainingError
from audits.pilots.methods import Moco, SimClr
from audits.pilots.objectives.objective import OfViews, Views, follow, head, slow_copy
from audits.pilots.recipe import TrainingSettings
from audits.pilots.training_set import TrainingSet


class SimClrObjective(OfViews):
    """NT-Xent over a batch (Chen et al. 2020a, equation 1)."""

    def __init__(self, settings: TrainingSettings, method: SimClr) -> None:
        super().__init__(settings)
        self.projector = head(self.encoder.size, method.hidden, method.outputs, normalised=False)
        self.temperature = method.temperature

    def loss(self, views: Views, chosen: Tensor) -> Tensor:
        count = len(chosen)
        projected = functional.normalize(self.projector(self.seen(torch.cat(views))), dim=1)
        itself = torch.eye(2 * count, dtype=torch.bool, device=projected.device)
        likeness = (projected @ projected.T / self.temperature).masked_fill(itself, -torch.inf)
        return functional.cross_entropy(likeness, torch.arange(2 * count, device=projected.device).roll(count))


class MocoObjective(OfViews):
    """Queries against the key of the other view and a queue of earlier keys, in both directions.

    He et al. 2020, algorithm 1. Batches are normalised in shuffled parts when keys are made, as their section 3.3 does
    across GPUs: else the batch's statistics tell which key belongs to which query.
    """

    queue: Tensor
    written: Tensor

    def __init__(self, settings: TrainingSettings, data: TrainingSet, method: Moco) -> None:
        if method.queue > len(data):
            raise TrainingError(
                f"MoCo's queue of {method.queue:,} is longer than the training set of {len(data):,} images, so "
                "pictures would part from themselves; make it shorter."
            )
        super().__init__(settings)
        self.method = method
        self.projector = head(self.encoder.size, method.hidden, method.outputs, normalised=False)
        self.begun()
        self.register_buffer("queue", torch.zeros(method.queue, method.outputs))
        self.register_buffer("written", torch.zeros((), dtype=torch.int64))  # keys ever; the oldest are overwritten

    def begun(self) -> None:
        self.slow_encoder, self.slow_projector = slow_copy(self.encoder), slow_copy(self.projector)

    def loss(self, views: Views, chosen: Tensor) -> Tensor:
        with torch.no_grad():
            keys = [self._keys(one) for one in views]
        queries = [functional.normalize(self.projector(self.seen(one)), dim=1) for one in views]
        known = self.queue[: min(int(self.written), len(self.queue))]
        self._latest = keys[1]
        return (self._of(queries[0], keys[1], known) + self._of(queries[1], keys[0], known)) / 2

    def _keys(self, images: Tensor) -> Tensor:
        order = torch.randperm(len(images), device=images.device)
        parts = images[order].tensor_split(min(self.method.parts, len(images) // 2))
        keys = torch.cat([self.slow_projector(self.seen(part, self.slow_encoder)) for part in parts])
        return functional.normalize(keys, dim=1)[order.argsort()]

    def _of(self, queries: Tensor, keys: Tensor, known: Tensor) -> Tensor:
        """Cross-entropy with the own key first; before anything is queued the batch's other keys stand in."""
        if not len(known):
            logits, right = queries @ keys.T, torch.arange(len(queries), device=queries.device)
        else:
            own = (queries * keys).sum(dim=1, keepdim=True)
            logits = torch.cat([own, queries @ known.T], dim=1)
            right = torch.zeros(len(queries), dtype=torch.int64, device=queries.device)
        return functional.cross_entropy(logits / self.method.temperature, right)

    @torch.no_grad()
    def stepped(self, part: float) -> None:
        follow(self.slow_encoder, self.encoder, self.method.momentum)
        follow(self.slow_projector, self.projector, self.method.momentum)
        places = (self.written + torch.arange(len(self._latest), device=self.queue.device)) % len(self.queue)
        self.queue[places] = self._latest
        self.written += len(self._latest)
