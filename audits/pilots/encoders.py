"""Encoders by name, as suspects are named: built untrained, or filled with given weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from audits.pilots.checked import TrainingError
from audits.suspects.cifar_resnet import CifarResNet
from audits.suspects.errors import SuspectError
from audits.suspects.small_resnet import SmallResNet
from audits.suspects.weights import fill

# Where 1x1 convolutions of stride 2 have fewer channels, torch 2.15 writes beyond its memory when it goes backward on a
# CPU with channels last.
NARROWEST = 8


class Encoder(nn.Module):
    """A network that answers its input ``(B, 3, S, S)`` with features ``(B, size)`` and logits ``(B, classes)``.

    Without a head there are no logits, but ``None``.
    """

    def __init__(self, name: str, network: nn.Module, size: int, head: str) -> None:
        super().__init__()
        self.name, self.network, self.size, self.head = name, network, size, head

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        features, logits = self.network(images)
        return features, logits

    def start_from(self, path: Path) -> str:
        """Fill the network with the weights of a safetensors file; a head of other classes starts afresh.

        Returns the file's SHA-256. Raises TrainingError where they do not fit.
        """
        own = self.network.state_dict()
        of_head = {name for name in own if name.startswith(f"{self.head}.")}
        try:
            given = load_file(path)
            fitting = {
                name: value
                for name, value in given.items()
                if not name.startswith(f"{self.head}.") or (name in of_head and value.shape == own[name].shape)
            }
            fill(self.network, {**{name: own[name] for name in of_head}, **fitting}, self.name)
        except (OSError, SafetensorError) as error:
            raise TrainingError("The weights to start from cannot be read; give a safetensors file.") from error
        except SuspectError as error:
            raise TrainingError(error.args[0]) from error
        return hashlib.sha256(path.read_bytes()).hexdigest()


class _TimmEncoder(Encoder):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        network: Any = self.network
        maps = network.forward_features(images)
        features = network.forward_head(maps, pre_logits=True)
        if features.ndim > 2:
            features = features.flatten(2).mean(2)
        return features, network.forward_head(maps) if network.num_classes else None


def build_encoder(name: str, side: int, classes: int | None) -> Encoder:
    """An untrained encoder in channels-last memory, from torch's global random numbers. Raises TrainingError."""
    kind, _, variant = name.partition(":")
    builders: dict[str, Callable[[str, int, int | None], Encoder]] = {
        "small_resnet": _small,
        "cifar_resnet": _cifar,
        "timm": _timm,
    }
    try:
        return builders[kind](variant, side, classes).to(memory_format=torch.channels_last)
    except (KeyError, ValueError) as error:
        raise TrainingError(f"There is no encoder called {name}; name one such as small_resnet:16.") from error


def _small(variant: str, side: int, classes: int | None) -> Encoder:
    width, _, stages = variant.partition(":")
    if int(width) < NARROWEST:
        raise TrainingError(f"A small ResNet is trained with a width of {NARROWEST} or more.")
    network = SmallResNet(int(width), [int(depth) for depth in (stages or "1-1-1-1").split("-")], classes)
    return Encoder(f"small_resnet:{variant}", network, network.feature_size, "head")


def _cifar(variant: str, side: int, classes: int | None) -> Encoder:
    return Encoder(f"cifar_resnet:{variant}", CifarResNet(int(variant), classes=classes), 64, "linear")


def _timm(variant: str, side: int, classes: int | None) -> Encoder:
    import timm

    if not timm.is_model(variant):
        raise TrainingError(f"timm knows no network called {variant}; choose one of its names.")
    options: dict[str, Any] = {"pretrained": False, "num_classes": classes or 0}
    try:
        network = timm.create_model(variant, img_size=side, **options)
    except TypeError:  # convolutional networks take any size and know no such option
        network = timm.create_model(variant, **options)
    head = network.pretrained_cfg.get("classifier") or "head"
    size = getattr(network, "head_hidden_size", None) or network.num_features
    return _TimmEncoder(f"timm:{variant}", network, size, head if isinstance(head, str) else head[0])
