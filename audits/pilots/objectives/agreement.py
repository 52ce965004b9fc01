"""Two views of a picture agree, and nothing parts: BYOL and SimSiam."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from audits.pilots.methods import Byol, SimSiam
from audits.pilots.objectives.objective import OfViews, Views, follow, head, rising, slow_copy
from audits.pilots.recipe import TrainingSettings


def apart(foretold: Tensor, said: Tensor) -> Tensor:
    """Minus the mean cosine of rows; what was said is not taught."""
    return -functional.cosine_similarity(foretold, said.detach(), dim=1).mean()


class ByolObjective(OfViews):
    """Grill et al. 2020, equation 2, in both directions: 0 where views agree, 4 where they are opposite."""

    def __init__(self, settings: TrainingSettings, method: Byol) -> None:
        super().__init__(settings)
        self.momentum = method.momentum
        self.projector = head(self.encoder.size, method.hidden, method.outputs)
        self.predictor = head(method.outputs, method.hidden, method.outputs)
        self.begun()

    def begun(self) -> None:
        self.slow_encoder, self.slow_projector = slow_copy(self.encoder), slow_copy(self.projector)

    def loss(self, views: Views, chosen: Tensor) -> Tensor:
        foretold = [self.predictor(self.projector(self.seen(one))) for one in views]
        with torch.no_grad():
            said = [self.slow_projector(self.seen(one, self.slow_encoder)) for one in views]
        return 2 + apart(foretold[0], said[1]) + apart(foretold[1], said[0])

    def stepped(self, part: float) -> None:
        momentum = rising(self.momentum, part)
        follow(self.slow_encoder, self.encoder, momentum)
        follow(self.slow_projector, self.projector, momentum)


class SimSiamObjective(OfViews):
    """Chen and He 2021, algorithm 1: -1 where views agree."""

    def __init__(self, settings: TrainingSettings, method: SimSiam) -> None:
        super().__init__(settings)
        self.projector = nn.Sequential(
            head(self.encoder.size, method.hidden, method.outputs),
            nn.BatchNorm1d(method.outputs, affine=False),
        )
        self.predictor = head(method.outputs, method.bottleneck, method.outputs)

    def loss(self, views: Views, chosen: Tensor) -> Tensor:
        projected = [self.projector(self.seen(one)) for one in views]
        foretold = [self.predictor(one) for one in projected]
        return (apart(foretold[0], projected[1]) + apart(foretold[1], projected[0])) / 2
