"""A network's answers to the fixed noise images, whatever its description says. Imported in the child only."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audits.suspects.architectures import Encoder, plainly
from audits.suspects.errors import SuspectError
from audits.suspects.geometry import noise_images
from audits.suspects.identity import NORMALISED, PLAIN, RAW, SIDES, WAYS_SIDE
from audits.suspects.network import Network

PORTION = 4  # images at once: a network's own size may be large
Answers = dict[str, NDArray[np.float32]]
Ways = dict[str, tuple[Sequence[float], Sequence[float]]]


def noise_answers(encoder: Encoder) -> Answers:
    """Rows (16, d) of every output by its number, the side of the images, and how they came: "1 64", "2 64 unit".

    At every one of the sides that networks share that it takes, and at its own; what an exported file declares to be
    its only size is tried all the same. So a copy that takes a single one is asked what the original was. Raises
    SuspectError.
    """
    found: Answers = {}
    free = replace(encoder, network=_freed(encoder.network))
    for side in SIDES:
        if side != encoder.input_size:
            with suppress(Exception):  # whatever a network that takes its own size alone may raise
                found |= _answers_at(free, side)
    return found | _answers_at(encoder, encoder.input_size)


def _freed(network: Network) -> Network:
    try:
        return network.of_any_size()
    except Exception:  # one that cannot be opened like that is asked at its own size alone
        return network


def _answers_at(encoder: Encoder, side: int) -> Answers:
    images = torch.from_numpy(noise_images(side)).permute(0, 3, 1, 2).float().to(encoder.device)
    found = _answers(encoder, images, str(side), *PLAIN)
    for way, (mean, deviation) in _ways(encoder, side).items():
        with suppress(Exception):  # what a network never saw may be too much for its numbers
            found |= _answers(encoder, images, f"{side} {way}", mean, deviation)
    return found


def _answers(
    encoder: Encoder, images: Tensor, asked: str, mean: Sequence[float], deviation: Sequence[float]
) -> Answers:
    with torch.inference_mode():
        portions = [plainly(encoder, portion, mean, deviation) for portion in images.split(PORTION)]
    every = {number: _array(torch.cat([portion[number] for portion in portions])) for number in portions[0]}
    if any(rows.ndim != 2 or len(rows) != len(images) for rows in every.values()):
        raise SuspectError("shape", "The model did not give one row per noise image.")
    found = {number: rows for number, rows in every.items() if np.isfinite(rows).all()}
    if not found.keys() & set(encoder.network.named.numbers):
        raise SuspectError("numbers", "The model answered with values that are not numbers (NaN or infinity).")
    return {f"{number} {asked}": rows for number, rows in found.items()}


def _ways(encoder: Encoder, side: int) -> Ways:
    """Further normalisations by name. Only an exported network can normalise by itself, and be given raw images."""
    if side not in (WAYS_SIDE, encoder.input_size):
        return {}
    raw = RAW if encoder.parameters is None else {}
    return {**NORMALISED, **raw, "own": (encoder.mean, encoder.deviation)}


def _array(rows: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = rows.float().cpu().numpy()
    return found
