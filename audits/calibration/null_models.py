"""Models that cannot have seen any release: fresh initialisations, models trained on other data, strangers' networks.

Imports torch: for jobs and scripts, never for the web process. Nothing here knows a key; seeds are public.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from audits.suspects.small_resnet import SmallResNet
from provenance.errors import TouchmarkError

# What a model may return: features alone, labels alone, or both.
Answer = Callable[[Tensor], tuple[Tensor | None, Tensor | None]]

CLASSES = 10
# Fresh heads answer almost the same to every image; standardised logits times this give labels that vary.
SHARPNESS = 2.0
SMALLEST_INPUT = 32  # timm's networks halve the resolution five times
TORCH_SEEDS = 2**64  # torch takes no larger seed; that of a round times ten thousand may be
TRAINING_STEPS = 40  # enough that answers mean something, far from the best a network could do
SETTLED_ON = 512  # images are plenty for means and deviations
TIMM_NAMES = ("test_resnet", "test_convnext", "test_efficientnet")
FRESH_CLIP = "fresh open_clip"
KINDS = ("fresh small_resnet", "trained small_resnet", *(f"fresh timm:{name}" for name in TIMM_NAMES), FRESH_CLIP)
# Two transformers of two blocks; labels come from prompts, as zero-shot labels do.
CLIP_CONFIG: dict[str, Any] = {
    "embed_dim": 48,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "layers": 2, "width": 48, "head_width": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
PROMPTS = tuple(
    f"a {thing}" for thing in ["aeroplane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "lorry"]
)


class NullModelError(TouchmarkError):
    """A null model that cannot be built; the sentence says why."""


@dataclass(frozen=True)
class NullModel:
    """One model; `ask` takes grey levels (B, 3, H, W) float32, 0 to 255, to features (B, d) and soft labels (B, k).

    Either of the two may be None, for every batch alike.
    """

    name: str
    kind: str
    ask: Answer


def as_tensor(images: NDArray[np.uint8]) -> Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) float32, 0 to 255."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float()


def null_model(kind: str, seed: int, images: NDArray[np.uint8], labels: NDArray[np.integer]) -> NullModel:
    """Build one of KINDS from a seed.

    images (n, H, W, 3) uint8, labels (n,): what its normalisation is settled on, and what "trained" kinds learn. They
    must not be the probes of the audit that the model will be a null model for.
    """
    if kind not in KINDS:
        raise NullModelError(f"There is no kind of null model '{kind}'. Choose one of: {', '.join(KINDS)}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % TORCH_SEEDS)
        if kind.startswith("fresh timm:"):
            network: nn.Module = _Timm(kind.removeprefix("fresh timm:"))
        elif kind == FRESH_CLIP:
            network = _Clip()
        else:
            width = 6 + 2 * (seed % 3)
            network = SmallResNet(width, (1, 1, 1), CLASSES)
        if kind.startswith("trained"):
            _train(network, images, labels, seed)
        usual = as_tensor(images[:SETTLED_ON])
        _settle_normalisation(network, usual)
    return NullModel(f"{kind} #{seed}", kind, _answers(network, usual, fresh=kind.startswith("fresh")))


def stranger_models(folder: Path) -> list[NullModel]:
    """CIFAR ResNets that strangers trained, from files named resnet<depth>-….th; images must be 32 x 32."""
    from audits.suspects.architectures import build
    from audits.suspects.spec import ModelSpec

    found = []
    for path in sorted(folder.glob("resnet*.th")):
        depth = path.name.removeprefix("resnet").partition("-")[0]
        spec = ModelSpec(architecture=f"cifar_resnet:{depth}", returns=("features", "soft"), classes=10)
        encoder = build(spec, path, torch.device("cpu"))
        found.append(NullModel(path.stem, "stranger", partial(_ask_encoder, encoder)))
    if not found:
        raise NullModelError("This folder holds no weights named resnet<depth>-….th.")
    return found


@torch.inference_mode()
def _ask_encoder(encoder: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    features, soft = encoder.ask(images)
    return features, soft


class _Timm(nn.Module):
    """A tiny network of timm with the two outputs that null models have."""

    def __init__(self, name: str) -> None:
        import timm

        super().__init__()
        self.network = timm.create_model(name, pretrained=False, num_classes=CLASSES)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if min(images.shape[2:]) < SMALLEST_INPUT:
            images = functional.interpolate(images, (SMALLEST_INPUT, SMALLEST_INPUT), mode="bilinear")
        maps = self.network.forward_features(images)
        return self.network.forward_head(maps, pre_logits=True), self.network.forward_head(maps)


class _Clip(nn.Module):
    """A tiny open_clip model with the two outputs that null models have: its image's place, and likeness to prompts."""

    def __init__(self) -> None:
        from open_clip.model import CLIP
        from open_clip.tokenizer import SimpleTokenizer

        super().__init__()
        model = CLIP(**CLIP_CONFIG)
        tokens = SimpleTokenizer(context_length=CLIP_CONFIG["text_cfg"]["context_length"])(list(PROMPTS))
        with torch.no_grad():
            read = model.encode_text(tokens, normalize=True)
        self.tower, self.scale = model.visual, model.logit_scale.detach().exp()
        self.register_buffer("prompts", read)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        side = CLIP_CONFIG["vision_cfg"]["image_size"]
        if images.shape[2:] != (side, side):
            images = functional.interpolate(images, (side, side), mode="bilinear")
        seen = functional.normalize(self.tower(images), dim=-1)
        return seen, self.scale * seen @ self.prompts.T


def _normalised(images: Tensor) -> Tensor:
    return images / 64 - 2


def _train(network: nn.Module, images: NDArray[np.uint8], labels: NDArray[np.integer], seed: int) -> None:
    """A short supervised training."""
    inputs = _normalised(as_tensor(images))
    targets = torch.from_numpy(np.asarray(labels, dtype=np.int64) % CLASSES)  # a head of CLASSES will do for any data
    order = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
    network.train()
    for _ in range(TRAINING_STEPS):
        batch = torch.from_numpy(order.integers(0, len(inputs), 48))
        loss = functional.cross_entropy(network(inputs[batch])[1], targets[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@torch.no_grad()
def _settle_normalisation(network: nn.Module, images: Tensor) -> None:
    """Give batch normalisations the statistics of these images; a fresh network's own are those of no image at all."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # a plain mean over batches
    network.train()
    network(_normalised(images))
    network.eval()


def _answers(network: nn.Module, images: Tensor, fresh: bool) -> Answer:
    with torch.inference_mode():
        logits = network(_normalised(images))[1]
    mean = logits.mean(dim=0) if fresh else torch.zeros(logits.shape[1])
    scale = logits.std(dim=0).clamp_min(1e-6) / SHARPNESS if fresh else torch.ones(logits.shape[1])

    @torch.inference_mode()
    def ask(batch: Tensor) -> tuple[Tensor, Tensor]:
        features, found = network(_normalised(batch))
        return features, ((found - mean) / scale).softmax(dim=1)

    return ask


def null_models(
    count: int, seed: int, images: NDArray[np.uint8], labels: NDArray[np.integer], kinds: Sequence[str] = KINDS
) -> list[NullModel]:
    """`count` null models, taking turns through the kinds; no two share a seed."""
    return [null_model(kinds[i % len(kinds)], seed * 10_000 + i, images, labels) for i in range(count)]
