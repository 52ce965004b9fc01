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

Answers = dict[str, NDArray[np.float32]]


def noise_answers(encoder: Encoder) -> tuple[int, Answers]:
    """The side of the images and "features" (16, d) and "soft" (16, k) as far as the network gives any.

    At the first of the sides that networks share, else at the network's own. Raises SuspectError.
    """
    for side in SIDES:
        with suppress(Exception):  # whatever a network that takes its own size alone may raise
            return side, _answers_at(encoder, side)
    return encoder.input_size, _answers_at(encoder, encoder.input_size)


def _answers_at(encoder: Encoder, side: int) -> Answers:
    images = torch.from_numpy(noise_images(side)).permute(0, 3, 1, 2).float().to(encoder.device)
    with torch.inference_mode():
        features, soft = plainly(encoder, images)
    return {
        name: _array(rows, len(images)) for name, rows in (("features", features), ("soft", soft)) if rows is not None
    }


def _array(rows: Tensor, count: int) -> NDArray[np.float32]:
    found: NDArray[np.float32] = rows.float().cpu().numpy()
    if found.ndim != 2 or len(found) != count:
        raise SuspectError("shape", "The model did not give one row per noise image.")
    if not np.isfinite(found).all():
        raise SuspectError("numbers", "The model answered with values that are not numbers (NaN or infinity).")
    return found
