"""Another encoder learns what a model says of clean images: features by cosine, as its own rotation of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from audits.pilots.augmentation import channels_first, to_input, view
from audits.pilots.encoders import Encoder
from audits.pilots.methods import SimClr
from audits.pilots.threads import linear_algebra_threads
from audits.robustness.suspects import Suspect, empty_encoder

if TYPE_CHECKING:
    from audits.robustness.evader import Evader

BATCH, RATE = 64, 2e-3


def distilled(evader: Evader, encoder: str, epochs: int) -> Suspect:
    """A student of this encoder's name. It has no head, so a linear probe gives its labels."""
    teacher, device, generator = evader.model, evader.model.device, evader.generator()
    recipe = replace(evader.recipe, method=SimClr(), encoder=encoder, seed=evader.seed)
    images = channels_first(torch.from_numpy(evader.clean.images))
    with linear_algebra_threads(recipe.threads), torch.random.fork_rng():
        torch.manual_seed(evader.seed)
        student = empty_encoder(recipe, teacher.task).to(device)
        width = teacher.features(evader.clean.images[:1]).shape[1]
        turned = nn.Linear(student.size, width).to(device)
        optimiser = torch.optim.AdamW([*student.parameters(), *turned.parameters()], lr=RATE)
        for _ in range(epochs):
            for chosen in torch.randperm(len(images)).split(BATCH):
                evader.told()
                if len(chosen) < 2:  # batch normalisation needs two
                    continue
                levels = images[chosen].to(device).float()
                seen = view(levels, recipe.augmentation, generator).round()
                loss = _apart(student, turned, seen, teacher.said(seen).features)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    return Suspect.of(student, recipe, teacher.task)


def _apart(student: Encoder, turned: nn.Linear, seen: Tensor, wanted: Tensor | None) -> Tensor:
    assert wanted is not None  # noqa: S101 - nothing is altered of the evader's own model
    said = turned(student(to_input(seen))[0])
    return 1 - functional.cosine_similarity(said, wanted.clone(), dim=1).mean()
