"""Small contrastive trainings for the power benchmark: CLIP-like and SimCLR, all data on the device, one CUDA graph.

They are the trials of docs/strength.md: a 4-stage ResNet of width 16 on 32 x 32 images. On a GPU one training
step is captured once and replayed, so that launching costs nothing; on a CPU the same step runs as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from audits.suspects.small_resnet import SmallResNet

FILLERS = 20  # words that say nothing about the image


@dataclass(frozen=True)
class Recipe:
    """How one suspect or reference is trained."""

    method: str  # "clip" or "simclr"
    epochs: int
    batch: int = 256
    rate: float = 2e-3
    temperature: float = 0.2  # SimCLR's


@dataclass(frozen=True)
class Trained:
    """A model that answers: `features` (B, d) and `soft` (B, k) of images (B, 3, H, W) in grey levels 0 to 255."""

    encoder: nn.Module
    head: Tensor  # (d, k) or (d + 1, k)
    scale: float

    @torch.no_grad()
    def answer(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.encoder.eval()
        features = self.encoder(_scaled(images))
        if self.scale:
            soft = (self.scale * functional.normalize(features, dim=1) @ self.head).softmax(1)
        else:
            soft = (features @ self.head[:-1] + self.head[-1]).softmax(1)
        return features, soft


def train(recipe: Recipe, images: Tensor, labels: Tensor, seed: int, probe_set: tuple[Tensor, Tensor]) -> Trained:
    """images (N, 3, 32, 32) uint8 on the device, labels (N,) of the same; the seed fixes everything."""
    torch.manual_seed(seed)
    if recipe.method == "clip":
        return _train_clip(recipe, images, labels)
    return _train_simclr(recipe, images, probe_set)


def _train_clip(recipe: Recipe, images: Tensor, labels: Tensor) -> Trained:
    device, classes, width = images.device, int(labels.max()) + 1, 64
    encoder = nn.Sequential(_Backbone(), nn.Linear(128, width)).to(device, memory_format=torch.channels_last)
    words = nn.Embedding(classes + FILLERS, width).to(device)
    text = nn.Linear(width, width).to(device)
    scale = nn.Parameter(torch.tensor(2.66, device=device))
    parameters = [*encoder.parameters(), *words.parameters(), *text.parameters(), scale]
    targets = torch.arange(recipe.batch, device=device)

    def loss_of(index: Tensor) -> Tensor:
        pictures = _shifted_and_flipped(_scaled(images[index]))
        filler = classes + torch.randint(0, FILLERS, (len(index),), device=device)
        pair = torch.stack([labels[index], filler], 1)
        seen = functional.normalize(encoder(pictures).float(), dim=1)
        said = functional.normalize(text(words(pair).mean(1)).float(), dim=1)
        logits = scale.clamp(max=4.6).exp() * seen @ said.T
        return (functional.cross_entropy(logits, targets) + functional.cross_entropy(logits.T, targets)) / 2

    _optimise(recipe, loss_of, parameters, len(images), device)
    with torch.no_grad():
        fillers = torch.arange(classes, classes + FILLERS, device=device)
        pairs = torch.stack(
            [torch.arange(classes, device=device).repeat_interleave(FILLERS), fillers.repeat(classes)], 1
        )
        prompts = functional.normalize(text(words(pairs).mean(1)), dim=1).reshape(classes, FILLERS, width).mean(1)
        head = functional.normalize(prompts, dim=1).T.contiguous()
    return Trained(encoder, head, float(scale.detach().clamp(max=4.6).exp()))


def _train_simclr(recipe: Recipe, images: Tensor, probe_set: tuple[Tensor, Tensor]) -> Trained:
    device = images.device
    encoder = _Backbone().to(device, memory_format=torch.channels_last)
    projector = nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 64)).to(device)
    size = 2 * recipe.batch
    other = torch.arange(size, device=device).roll(recipe.batch)
    itself = torch.eye(size, dtype=torch.bool, device=device)

    def loss_of(index: Tensor) -> Tensor:
        pictures = _scaled(images[index])
        views = torch.cat([_view(pictures), _view(pictures)])
        z = functional.normalize(projector(encoder(views)).float(), dim=1)
        return functional.cross_entropy((z @ z.T / recipe.temperature).masked_fill(itself, -1e9), other)

    _optimise(recipe, loss_of, [*encoder.parameters(), *projector.parameters()], len(images), device)
    return Trained(encoder, _linear_probe(encoder, *probe_set), 0.0)


class _Backbone(SmallResNet):
    """Features only, as one tensor."""

    def forward(self, images: Tensor) -> Tensor:  # type: ignore[override]
        with torch.autocast(images.device.type, torch.bfloat16):
            return self.forward_features(images).float()


def _optimise(recipe: Recipe, loss_of: Callable[[Tensor], Tensor], parameters: list, count: int, device) -> None:
    """AdamW with a cosine schedule; on CUDA the step is a replayed graph."""
    rate = torch.tensor(recipe.rate, device=device)
    graphs = device.type == "cuda"
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.05, capturable=graphs)
    index = torch.randperm(count, device=device)[: recipe.batch]

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss_of(index).backward()
        optimiser.step()

    if graphs:
        rate.fill_(0.0)  # the steps that warm the graph up must teach nothing
    replay = _captured(step) if graphs else step
    per_epoch = count // recipe.batch
    total, done = recipe.epochs * per_epoch, 0
    for _ in range(recipe.epochs):
        order = torch.randperm(count, device=device)[: per_epoch * recipe.batch].reshape(per_epoch, recipe.batch)
        for batch in order:
            index.copy_(batch)
            warm = min(1.0, (done + 1) / (0.05 * total))
            rate.fill_(recipe.rate * warm * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * done / total)).item()))
            replay()
            done += 1


def _captured(step: Callable[[], None]) -> Callable[[], None]:
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def _scaled(images: Tensor) -> Tensor:
    return ((images.float() - 127.5) / 64).contiguous(memory_format=torch.channels_last)


def _shifted_and_flipped(images: Tensor) -> Tensor:
    batch = len(images)
    theta = torch.zeros(batch, 2, 3, device=images.device)
    theta[:, 0, 0] = torch.where(torch.rand(batch, device=images.device) < 0.5, -1.0, 1.0)
    theta[:, 1, 1] = 1
    theta[:, :, 2] = torch.randint(-4, 5, (batch, 2), device=images.device) / 16
    return _sampled(images, theta)


def _view(images: Tensor) -> Tensor:
    """SimCLR's view: resized crop, flip, brightness, contrast and saturation, sometimes grey."""
    batch, device = len(images), images.device
    scale = (0.2 + 0.8 * torch.rand(batch, device=device)).sqrt()
    theta = torch.zeros(batch, 2, 3, device=device)
    theta[:, 0, 0] = scale * torch.where(torch.rand(batch, device=device) < 0.5, -1.0, 1.0)
    theta[:, 1, 1] = scale
    theta[:, :, 2] = (2 * torch.rand(batch, 2, device=device) - 1) * (1 - scale)[:, None]
    view = _sampled(images, theta)

    def jitter(amount: float) -> Tensor:
        on = (torch.rand(batch, 1, 1, 1, device=device) < 0.8).float()
        return 1 + on * amount * (2 * torch.rand(batch, 1, 1, 1, device=device) - 1)

    view = (view + 2) * jitter(0.4) - 2
    mean = view.mean((1, 2, 3), keepdim=True)
    view = mean + (view - mean) * jitter(0.4)
    grey = view.mean(1, keepdim=True)
    saturation = jitter(0.4) * (torch.rand(batch, 1, 1, 1, device=device) > 0.2).float()
    return (grey + (view - grey) * saturation).contiguous(memory_format=torch.channels_last)


def _sampled(images: Tensor, theta: Tensor) -> Tensor:
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _linear_probe(encoder: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """A classifier on clean images that nobody trained on: ridge regression to one-hot labels, (d + 1, k)."""
    encoder.eval()
    with torch.no_grad():
        features = torch.cat([encoder(_scaled(part)) for part in images.split(1000)]).double()
    design = torch.cat([features, torch.ones(len(features), 1, device=features.device)], 1)
    wanted = functional.one_hot(labels).double()
    ridge = 1e-2 * len(features) * torch.eye(design.shape[1], device=design.device)
    weights = torch.linalg.solve(design.T @ design + ridge, design.T @ wanted)
    return (8 * weights).float()
