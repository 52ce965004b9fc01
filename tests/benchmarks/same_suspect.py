"""How far apart the answers to the noise images lie: copies of one model, further training, other trainings.

Run: python -m tests.benchmarks.same_suspect   (some two minutes on one core)

Networks are small and trained here, on CIFAR-10 (../shared/data/cifar10.zip); untrained networks of timm stand beside
them, whose geometry is the same for all seeds where they are wide. docs/error-rates.md quotes this table.
"""

from __future__ import annotations

import io
import tempfile
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
from audits.suspects.identity import TOLERANCE, Identity, distance, identity_of
from audits.suspects.noise_answers import noise_answers
from audits.suspects.small_resnet import SmallResNet

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10.zip"
IMAGES, BATCH = 2_000, 100
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
        answers = noise_answers(build(spec, path, torch.device("cpu")))
    return identity_of({"tensors": "0" * 64, "parts": []}, answers)


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
    for answers in ("features", "soft"):
        found = [
            distance(one.geometries[name], other.geometries[name])
            for one, other in pairs
            for name in one.geometries.keys() & other.geometries.keys()
            if name.startswith(answers)
        ]
        if found:
            print(f"| {network} | {compared} | {answers} | {min(found):.4f} | {max(found):.4f} |", flush=True)


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
        for rate, passes in ((1e-5, 1), (1e-3, 1)):
            again = make()
            again.load_state_dict(made[0])
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
