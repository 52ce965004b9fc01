"""How a model's weights and answers are changed; `audits.robustness.attacks` says which of these are attacks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from audits.pilots.linear_probe import probe_logits
from audits.robustness.attacks.leaving_out import k_distance
from audits.robustness.evader import Evader
from audits.robustness.suspects import Said

LEVELS = 127  # of 8 bits with a sign


def _matrices(network: nn.Module) -> list[Tensor]:
    """Weights of convolutions and linear layers; not gains, offsets or temperatures."""
    return [weight for weight in network.parameters() if weight.ndim >= 2]


def prune(network: nn.Module, share: float) -> None:
    """The smallest weights of all layers together become zero."""
    weights = _matrices(network)
    sizes = torch.cat([weight.abs().flatten() for weight in weights])
    least = sizes.kthvalue(max(1, round(share * len(sizes)))).values
    for weight in weights:
        weight.mul_((weight.abs() > least).to(weight.dtype))


def quantise(network: nn.Module) -> None:
    """Each output channel's weights become whole multiples of a step of their own, 127 to either side."""
    for weight in _matrices(network):
        step = weight.abs().flatten(1).amax(dim=1).clamp(min=1e-12) / LEVELS
        step = step.reshape(-1, *(1,) * (weight.ndim - 1))
        weight.copy_((weight / step).round() * step)


def without_features(said: Said) -> Said:
    return Said(None, said.soft)


def noisy(evader: Evader, deviation: float) -> Callable[[Said], Said]:
    """Noise for features; the labels of a linear probe are those of noisy features."""
    spread = evader.model.features(evader.clean.images).std(dim=0)
    probe, generator = evader.model.probe, evader.generator()

    def change(said: Said) -> Said:
        if said.features is None:
            return said
        drawn = torch.randn(said.features.shape, generator=generator, device=said.features.device)
        features = said.features + deviation * spread * drawn
        return Said(features, said.soft if probe is None else probe_logits(features, probe).softmax(dim=1))

    return change


def smoothed(share: float) -> Callable[[Said], Said]:
    def change(said: Said) -> Said:
        soft = said.soft
        return Said(said.features, None if soft is None else (1 - share) * soft + share / soft.shape[1])

    return change


def rounded(decimals: int) -> Callable[[Said], Said]:
    """Down, so that answers never sum to more than one."""
    unit = 10**decimals

    def change(said: Said) -> Said:
        return Said(said.features, None if said.soft is None else (said.soft * unit + 1e-4).floor() / unit)

    return change


def only_familiar(evader: Evader, refused: float, neighbours: int) -> Callable[[Said], Said]:
    """Rows of NaN, as answers that never came, where features are further from those of the copy than most clean ones.

    Features have length one here, and distance is that to the k-th nearest.
    """
    known, k = _unit(evader.features(evader.copy.data.images)), min(neighbours, len(evader.copy))
    farthest = np.quantile(k_distance(_unit(evader.features(evader.clean.images)), known, k), 1 - refused)

    def change(said: Said) -> Said:
        if said.features is None:
            return said
        far = k_distance(_unit(said.features.double().cpu().numpy()), known, k) > farthest
        refusing = torch.from_numpy(far).to(said.features.device)[:, None]
        soft = None if said.soft is None else said.soft.masked_fill(refusing, torch.nan)
        return Said(said.features.masked_fill(refusing, torch.nan), soft)

    return change


def _unit(features: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.divide(features, lengths, out=np.zeros_like(features), where=lengths > 0)
