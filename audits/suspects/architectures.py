"""Builds the network that a spec names and fills it with weights. Imported in the child only; reaches no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from audits.suspects import formats
from audits.suspects.cifar_resnet import CifarResNet
from audits.suspects.errors import SuspectError
from audits.suspects.identity import Named
from audits.suspects.network import Network, Outputs
from audits.suspects.spec import CLIP_DEVIATION, CLIP_MEAN, IMAGENET_DEVIATION, IMAGENET_MEAN, ModelSpec
from audits.suspects.weights import Tensors, classes_in, fill, read_tensors

LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's mode "L"


@dataclass
class Encoder:
    """A network with the input it wants.

    ``normalise`` and ``ask`` work on the network's device; ``parameters`` counts trained numbers, ``None`` for ONNX.
    """

    network: Network
    input_size: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    channels: int
    parameters: int | None
    device: torch.device
    reads_captions: bool = False  # the file holds a text tower, which `captions` opens when it is asked for

    def normalise(self, images: Tensor, out: Tensor | None = None) -> Tensor:
        """Grey levels (B, 3, S, S) from 0 to 255 to the network's input (B, C, S, S), written to `out` if given."""
        if self.channels == 1:
            images = (images * images.new_tensor(LUMINANCE).view(1, 3, 1, 1)).sum(1, keepdim=True)
        out = torch.empty_like(images) if out is None else out
        for channel, (mean, deviation) in enumerate(zip(self.mean, self.deviation, strict=True)):
            # One pass over the pixels: -mean / deviation + pixel / (255 deviation).
            offset = images.new_tensor(-mean / deviation)
            torch.add(offset, images[:, channel], alpha=1 / (255 * deviation), out=out[:, channel])
        return out

    def ask(self, images: Tensor) -> Outputs:
        """Answers to images of grey levels (B, 3, S, S) from 0 to 255."""
        return self.network(self.normalise(images))


def plainly(
    encoder: Encoder, images: Tensor, mean: Sequence[float], deviation: Sequence[float]
) -> Mapping[int, Tensor]:
    """Every output for grey levels (B, 3, S, S) under this normalisation, whatever the spec says."""
    channels = encoder.channels
    bare = replace(encoder, mean=tuple(mean)[:channels], deviation=tuple(deviation)[:channels])
    return bare.network.every_output(bare.normalise(images))


def build(spec: ModelSpec, path: Path, device: torch.device, threads: int = 1) -> Encoder:
    """Build the network of ``spec`` with the weights at ``path``.

    Raises ``SuspectError`` where the two do not fit, ``FormatError`` where the file is refused.
    """
    facts = formats.inspect(path)
    if (facts.format == formats.ONNX) != (spec.family == "onnx"):
        if facts.format == formats.ONNX:
            raise SuspectError("weights", "This file is ONNX; choose the architecture “onnx”.")
        raise SuspectError("weights", "The architecture “onnx” needs an ONNX file.")
    if spec.family == "onnx":
        from audits.suspects.onnx_model import OnnxNetwork

        graph = OnnxNetwork(path, spec, threads)
        return _encoder(spec, graph, graph.input_size, None, None, None, torch.device("cpu"))
    tensors = read_tensors(path, facts.format)
    builders = {"timm": _timm, "open_clip": _open_clip, "cifar_resnet": _cifar, "small_resnet": _small}
    return builders[spec.family](spec, tensors, device)


def _encoder(
    spec: ModelSpec,
    network: Network,
    size: int | None,
    mean: Sequence[float] | None,
    deviation: Sequence[float] | None,
    parameters: int | None,
    device: torch.device,
) -> Encoder:
    input_size = spec.input_size or size
    if input_size is None:
        raise SuspectError("architecture", "This network takes images of any size; give the input size.")
    fitting = mean is not None and deviation is not None and len(mean) == len(deviation) == spec.channels
    own_mean, own_deviation = (mean, deviation) if fitting else (IMAGENET_MEAN, IMAGENET_DEVIATION)
    if spec.channels == 1 and not fitting:
        own_mean, own_deviation = (0.5,), (0.5,)
    return Encoder(
        network,
        input_size,
        spec.mean or tuple(own_mean or ()),
        spec.deviation or tuple(own_deviation or ()),
        spec.channels,
        parameters,
        device,
    )


class _Computed:
    """Runs a torch network as the spec says: precision, memory layout, softmax."""

    named = Named(features=1, scores=2)  # what our own networks compute is never anything else

    def __init__(self, network: nn.Module, spec: ModelSpec, device: torch.device) -> None:
        self.network = network.eval().requires_grad_(False).to(device)
        self._layout = torch.channels_last if spec.channels_last else torch.contiguous_format
        if spec.channels_last:
            self.network.to(memory_format=torch.channels_last)
        self._half = spec.precision == "bfloat16"
        self._device = device
        self._scores = spec.has_scores

    def __call__(self, images: Tensor) -> Outputs:
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
            features, logits = self.forward(images.contiguous(memory_format=self._layout), self._scores)
        features = None if features is None else features.float()
        return features, logits.float().softmax(dim=1) if self._scores and logits is not None else None

    def forward(self, images: Tensor, scores: bool) -> Outputs:
        """Features and logits; scores: whether the latter are needed."""
        features, logits = self.network(images)
        return features, logits

    def every_output(self, images: Tensor) -> Mapping[int, Tensor]:
        given = enumerate(self.forward(images.contiguous(memory_format=self._layout), True), start=1)
        return {number: rows.float() for number, rows in given if rows is not None}

    def of_any_size(self) -> Network:
        """Itself: no size is fixed but by what it computes."""
        return self

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.network.parameters())


def _check_head(spec: ModelSpec, found: int | None) -> None:
    if spec.has_scores and found is None:
        raise SuspectError("weights", "These weights have no classification head; ask this model for features only.")
    if spec.classes is not None and found is not None and spec.classes != found:
        raise SuspectError("weights", f"The head in this file has {found} classes, not {spec.classes}.")


def _cifar(spec: ModelSpec, tensors: Tensors, device: torch.device) -> Encoder:
    classes = classes_in(tensors, ["linear"])
    _check_head(spec, classes)
    network = CifarResNet(int(spec.variant), spec.channels, classes)
    fill(network, tensors, spec.architecture)
    computed = _Computed(network, spec, device)
    return _encoder(spec, computed, 32, IMAGENET_MEAN, IMAGENET_DEVIATION, computed.parameters, device)


def _small(spec: ModelSpec, tensors: Tensors, device: torch.device) -> Encoder:
    from audits.suspects.small_resnet import SmallResNet

    if spec.channels != 3:
        raise SuspectError("architecture", "The small ResNet takes colour images (3 channels).")
    width, _, stages = spec.variant.partition(":")
    classes = classes_in(tensors, ["head"])
    _check_head(spec, classes)
    network = SmallResNet(int(width), [int(depth) for depth in (stages or "1-1-1-1").split("-")], classes)
    fill(network, tensors, spec.architecture)
    computed = _Computed(network, spec, device)
    return _encoder(spec, computed, 32, None, None, computed.parameters, device)


class _TimmComputed(_Computed):
    has_head = True

    def forward(self, images: Tensor, scores: bool) -> Outputs:
        network: Any = self.network
        maps = network.forward_features(images)
        features = network.forward_head(maps, pre_logits=True)
        if features.ndim > 2:
            features = features.flatten(2).mean(2)
        return features, network.forward_head(maps) if self.has_head and scores else None


def _timm(spec: ModelSpec, tensors: Tensors, device: torch.device) -> Encoder:
    import timm

    name = spec.variant
    known = timm.get_pretrained_cfg(name, allow_unregistered=True)
    heads = getattr(known, "classifier", None) or ("head", "fc", "classifier")
    classes = classes_in(tensors, [heads] if isinstance(heads, str) else heads)
    _check_head(spec, classes)
    options: dict[str, Any] = {"pretrained": False, "num_classes": classes or 0, "in_chans": spec.channels}
    size = known.input_size[1] if known is not None else None
    try:
        if spec.input_size not in (None, size):
            try:
                network = timm.create_model(name, img_size=spec.input_size, **options)
            except TypeError:  # convolutional networks take any size and know no such option
                network = timm.create_model(name, **options)
        else:
            network = timm.create_model(name, **options)
    except (TypeError, ValueError, AssertionError, AttributeError, KeyError) as error:
        sentence = f"{spec.architecture} cannot be built with these options (input size, channels)."
        raise SuspectError("architecture", sentence, repr(error)) from error
    fill(network, tensors, spec.architecture)
    computed = _TimmComputed(network, spec, device)
    computed.has_head = classes is not None
    own = network.pretrained_cfg
    size = own.get("input_size", (3, 224, 224))[1]
    return _encoder(spec, computed, size, own.get("mean"), own.get("std"), computed.parameters, device)


class _ClipComputed(_Computed):
    """An open_clip image tower; with prompts, probabilities at the model's own temperature."""

    def __init__(self, tower: nn.Module, spec: ModelSpec, device: torch.device) -> None:
        super().__init__(tower, spec, device)
        self.prompts: Tensor | None = None  # (k, d), L2-normalised
        self.scale, self.bias = 1.0, 0.0

    def forward(self, images: Tensor, scores: bool) -> Outputs:
        features = self.network(images)
        if isinstance(features, tuple):
            features = features[0]
        if self.prompts is None:
            return features, None
        return features, self.scale * functional.normalize(features.float(), dim=1) @ self.prompts.T + self.bias


def _open_clip(spec: ModelSpec, tensors: Tensors, device: torch.device) -> Encoder:
    from audits.suspects.clip_models import config_of, has_text_tower, image_tower, whole_model

    config = config_of(spec)
    if spec.channels != 3:
        raise SuspectError("architecture", "open_clip models take colour images (3 channels).")
    if spec.has_scores:
        model, prompts, scale, bias = whole_model(config, spec, tensors)
        computed = _ClipComputed(model, spec, device)
        computed.prompts, computed.scale, computed.bias = prompts.to(device), scale, bias
    else:
        computed = _ClipComputed(image_tower(config, spec, tensors), spec, device)
    size = config["vision_cfg"].get("image_size", 224)
    side = size if isinstance(size, int) else size[0]
    encoder = _encoder(spec, computed, side, CLIP_MEAN, CLIP_DEVIATION, computed.parameters, device)
    return replace(encoder, reads_captions=has_text_tower(config, tensors))
