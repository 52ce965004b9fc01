"""How far apart the answers to the noise images lie: copies of one model, further training, other trainings.

Run: python -m tests.benchmarks.same_suspect   (some ten minutes on one core)

Networks are small and trained here, on CIFAR-10 (../shared/data/cifar10.zip); untrained networks of timm stand beside
them, whose geometry is the same for all seeds where they are wide. docs/error-rates.md quotes this table.
"""

from __future__ import annotations

import io
import math
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from audits.suspects import ModelSpec
from audits.suspects.architectures import build
from audits.suspects.cifar_resnet import CifarResNet
from audits.suspects.geometry import distance
from audits.suspects.identity import TOLERANCE, Identity, comparable, identity_of, nearest
from audits.suspects.noise_answers import noise_answers
from audits.suspects.small_resnet import SmallResNet
from audits.suspects.spec import IMAGENET_DEVIATION, IMAGENET_MEAN

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10.zip"
IMAGES, BATCH = 2_000, 100
NORMALISED = "exported with its normalisation inside"
Tensors = dict[str, Tensor]


def images() -> tuple[Tensor, Tensor]:
    """(N, 3, 32, 32) normalised, and classes, evenly spread over the archive."""
    with zipfile.ZipFile(DATA) as source:
        names = sorted(name for name in source.namelist() if name.endswith((".jpg", ".png")))
        chosen = names[:: max(1, len(names) // IMAGES)][:IMAGES]
        classes = sorted({name.split("/")[-2] for name in chosen})
        pixels = [np.asarray(Image.open(io.BytesIO(source.read(name))).convert("RGB")) for name in chosen]
    x = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
    return (x - 0.5) / 0.25, torch.tensor([classes.index(name.split("/")[-2]) for name in chosen])


def trained(network: nn.Module, data: tuple[Tensor, Tensor], epochs: int, seed: int, rate: float = 0.01) -> Tensors:
    torch.manual_seed(seed)
    x, y = data
    network.train()
    optimiser = torch.optim.AdamW(network.parameters(), rate)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(BATCH):
            loss = nn.functional.cross_entropy(network(x[batch])[1], y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def identity(spec: ModelSpec, tensors: Tensors) -> Identity:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.safetensors"
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
        encoder = build(spec, path, torch.device("cpu"))
        answers = noise_answers(encoder)
    return identity_of({"tensors": "0" * 64, "parts": [], "named": encoder.network.named.to_json()}, answers)


def floats(tensors: Tensors, change: Callable[[Tensor], Tensor]) -> Tensors:
    return {name: change(t) if t.is_floating_point() and t.ndim else t for name, t in tensors.items()}


def noise(size: float) -> Callable[[Tensor], Tensor]:
    return lambda tensor: tensor * (1 + size * torch.randn(tensor.shape))


COPIES: dict[str, Callable[[Tensor], Tensor]] = {
    "float16": lambda tensor: tensor.half(),
    "bfloat16": lambda tensor: tensor.bfloat16(),
    "weights times 1 + 0.0001 N(0, 1)": noise(1e-4),
    "weights times 1 + 0.001 N(0, 1)": noise(1e-3),
    "weights times 1 + 0.01 N(0, 1)": noise(1e-2),
}


def line(network: str, compared: str, pairs: list[tuple[Identity, Identity]]) -> None:
    for answers in ("features", "soft", "whichever"):
        found = [least(one, other, answers) for one, other in pairs]
        if math.inf not in found:
            print(f"| {network} | {compared} | {answers} | {min(found):.4f} | {max(found):.4f} |", flush=True)


def least(one: Identity, other: Identity, answers: str) -> float:
    """The smallest distance over all questions about outputs that both name so; or over all that are compared, which
    decides."""
    if answers == "whichever":
        return nearest(one, other)
    named = ((a, b) for a, b in comparable(one, other) if {a.split()[0], b.split()[0]} == {answers})
    return min((distance(one.geometries[a], other.geometries[b]) for a, b in named), default=math.inf)


class Normalising(nn.Module):
    """Takes images from 0 to 255 and normalises them itself, as the description of its network says."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEVIATION).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = self.inner((images / 255 - self.mean) / self.deviation)
        return found


def exported(module: nn.Module, side: int) -> Identity:
    """Of an ONNX file that takes one image of one size at a time."""
    spec = ModelSpec("onnx", returns=("features", "soft"), scores_output="scores", scores="logits")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path, names = Path(folder) / "n.onnx", ["features", "scores"]
        torch.onnx.export(module.eval(), (torch.zeros(1, 3, side, side),), path, output_names=names, dynamo=False)
        encoder = build(spec, path, torch.device("cpu"))
        answers = noise_answers(encoder)
    return identity_of({"tensors": "1" * 64, "parts": [], "named": encoder.network.named.to_json()}, answers)


def filled(network: nn.Module, tensors: Tensors) -> nn.Module:
    network.load_state_dict(tensors)
    return network


def networks(classes: int) -> Iterator[tuple[str, ModelSpec, Callable[[], nn.Module], int]]:
    both = ("features", "soft")
    yield "ResNet-20", ModelSpec("cifar_resnet:20", returns=both), lambda: CifarResNet(20, 3, classes), 3
    small = ModelSpec("small_resnet:16:1-1-1-1", returns=both, input_size=32)
    yield "small ResNet", small, lambda: SmallResNet(16, (1, 1, 1, 1), classes), 6


def untrained(name: str, seed: int) -> Tensors:
    import timm

    torch.manual_seed(seed)
    return dict(timm.create_model(name, pretrained=False, num_classes=0).state_dict())


def main() -> None:
    torch.set_num_threads(1)
    data = images()
    print(f"tolerance {TOLERANCE}\n\n| network | compared | answers | least | most |\n|---|---|---|---|---|")
    for name, spec, make, epochs in networks(int(data[1].max()) + 1):
        made = []
        for seed in (1, 2, 3):
            torch.manual_seed(seed)
            made.append(trained(make(), data, epochs, seed))
        known = [identity(spec, tensors) for tensors in made]
        for copy, change in COPIES.items():
            torch.manual_seed(9)
            line(name, copy, [(one, identity(spec, floats(t, change))) for one, t in zip(known, made, strict=True)])
        for how, change, side in (("exported for 36 pixels", nn.Sequential, 36), (NORMALISED, Normalising, 32)):
            copies = [exported(change(filled(make(), t)), side) for t in made]
            line(name, how, list(zip(known, copies, strict=True)))
            line(name, f"{how}, other trainings", [(known[a], copies[b]) for a, b in ((0, 1), (0, 2), (1, 2))])
        for rate, passes in ((1e-5, 1), (1e-3, 1)):
            again = filled(make(), made[0])
            line(
                name,
                f"{passes} epoch more at {rate:g}",
                [(known[0], identity(spec, trained(again, data, passes, 7, rate)))],
            )
        line(name, "other trainings", [(known[a], known[b]) for a, b in ((0, 1), (0, 2), (1, 2))])
    for name in ("resnet18", "vit_tiny_patch16_224", "mobilenetv3_small_100"):
        spec = ModelSpec(f"timm:{name}")
        known = [identity(spec, untrained(name, seed)) for seed in (1, 2, 3)]
        line(f"{name}, untrained", "other seeds", [(known[a], known[b]) for a, b in ((0, 1), (0, 2), (1, 2))])
        half = identity(spec, floats(untrained(name, 1), lambda tensor: tensor.half()))
        line(f"{name}, untrained", "float16", [(known[0], half)])


if __name__ == "__main__":
    main()
