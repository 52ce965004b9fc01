"""A network's answers to the fixed noise images, whatever its description says. Imported in the child only."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audits.suspects.architectures import Encoder, plainly
from audits.suspects.errors import SuspectError
from audits.suspects.identity import SIDES, noise_images

PORTION = 4  # images at once: a network's own size may be large
Answers = dict[str, NDArray[np.float32]]


def noise_answers(encoder: Encoder) -> Answers:
    """Rows (16, d) by "features" or "soft", as far as the network gives any, and the side of the images.

    At every one of the sides that networks share that it takes, and at its own: so a copy that takes a single size, as
    exported networks do, is asked what the original was. Raises SuspectError.
    """
    found: Answers = {}
    for side in SIDES:
        if side != encoder.input_size:
            with suppress(Exception):  # whatever a network that takes its own size alone may raise
                found |= _answers_at(encoder, side)
    return found | _answers_at(encoder, encoder.input_size)


def _answers_at(encoder: Encoder, side: int) -> Answers:
    images = torch.from_numpy(noise_images(side)).permute(0, 3, 1, 2).float().to(encoder.device)
    with torch.inference_mode():
        portions = [plainly(encoder, portion) for portion in images.split(PORTION)]
    named = zip((f"features {side}", f"soft {side}"), zip(*portions, strict=True), strict=True)
    return {
        name: _array(torch.cat([rows for rows in parts if rows is not None]), len(images))
        for name, parts in named
        if parts[0] is not None
    }


def _array(rows: Tensor, count: int) -> NDArray[np.float32]:
    found: NDArray[np.float32] = rows.float().cpu().numpy()
    if found.ndim != 2 or len(found) != count:
        raise SuspectError("shape", "The model did not give one row per noise image.")
    if not np.isfinite(found).all():
        raise SuspectError("numbers", "The model answered with values that are not numbers (NaN or infinity).")
    return found
