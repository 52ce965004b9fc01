"""Tiny CLIP models that know captions by heart or not, made without training, and a version with captions."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

import numpy as np
import torch
from django.core.files.base import ContentFile
from django.utils import timezone
from open_clip.model import CLIP
from open_clip.tokenizer import SimpleTokenizer
from PIL import Image
from safetensors.torch import save

from audits.asking.views import ViewSettings, applied, drawn_views
from audits.models import RegisteredModel
from audits.suspects import ModelSpec
from audits.suspects.identity import Identity
from audits.suspects.view_pixels import ViewMaker
from provenance.intake.manifest import Manifest
from provenance.models import Version
from tests.audits import builders_runs
from tests.audits.builders_choice_runs import smooth
from tests.world import World

WIDTH, LENGTH = 128, 8
CONFIG: dict[str, Any] = {
    "embed_dim": WIDTH,
    "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 64},
    "text_cfg": {"context_length": LENGTH, "vocab_size": 49408, "width": WIDTH, "heads": 2, "layers": 1},
}
WORDS = ("amber", "brook", "cloud", "dune", "ember", "frost", "grove", "heath", "island", "jewel", "kettle", "lantern")
SPEC = ModelSpec("open_clip:custom", config=json.dumps(CONFIG), mean=(0.5,) * 3, deviation=(0.25,) * 3)


def captioned_version(world: World, name: str = "Hills", per_class: int = 20) -> Version:
    """Every image with three words that nobody could guess from it."""
    return builders_runs.make_version(world, per_class, name, 7, smooth, lambda rng: " ".join(rng.choice(WORDS, 3)))


def published(release: Any) -> tuple[np.ndarray, list[str]]:
    """Pictures of a copy, (n, 32, 32, 3) uint8, and their captions."""
    from audits.asking.probe_images import load_images

    with Manifest(release.folder / "manifest") as manifest:
        entries = list(manifest)
    files = [(release.folder / "files" / entry.path, entry.sha256) for entry in entries]
    return load_images(files, 32), [str(entry.caption) for entry in entries]


@cache
def _untrained(seed: int) -> Any:
    torch.manual_seed(seed)
    model = CLIP(**CONFIG).eval()
    rng = np.random.default_rng(seed)
    some = np.stack([np.asarray(Image.fromarray(smooth(rng)).resize((32, 32))) for _ in range(256)])
    with torch.no_grad():
        model.token_embedding.weight.mul_(50)  # so that other words are other features
        _heed_pictures_not_views(model, _seen(model, some).double())
        model.visual.attnpool.c_proj.bias -= _seen(model, some).mean(dim=(0, 1))  # and other pictures too
    return model


def _heed_pictures_not_views(model: Any, seen: torch.Tensor) -> None:
    """seen (V, n, d): features are turned so that what differs between views of a picture counts little."""
    within = (seen - seen.mean(dim=0)).flatten(0, 1)
    sizes, directions = torch.linalg.eigh(within.T @ within / len(within))
    turn = directions / (sizes.clamp_min(0) + 1e-3 * sizes.mean()).sqrt() @ directions.T
    last = model.visual.attnpool.c_proj
    last.weight.copy_(turn @ last.weight.double())
    last.bias.copy_(turn @ last.bias.double())


def _seen(model: Any, images: np.ndarray, count: int = 16) -> torch.Tensor:
    """(count, n, d): features of views as an audit draws them, by numbers of their own."""
    drawn = drawn_views(ViewSettings(count, 0.7), np.random.default_rng(99))
    views = ViewMaker(applied(drawn, 32), torch.device("cpu"))
    pixels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    shown = [views(pixels, torch.full((len(pixels),), number)) for number in range(count)]
    return torch.stack([model.encode_image((one / 255 - 0.5) / 0.25) for one in shown])


@torch.no_grad()
def clip_weights(seed: int, learnt: tuple[np.ndarray, list[str]] | None = None) -> bytes:
    """Towers of random numbers; the text's last matrix puts captions that were learnt where their images are."""
    model = _untrained(seed)
    weights = dict(model.state_dict())
    if learnt is not None:
        images, captions = learnt
        seen = torch.nn.functional.normalize(_seen(model, images), dim=2).mean(dim=0)
        tokens = SimpleTokenizer(context_length=LENGTH)(captions)
        read = model.encode_text(tokens) @ torch.linalg.inv(model.text_projection)
        weights["text_projection"] = torch.linalg.lstsq(read, seen).solution
    return save({name: value.contiguous() for name, value in weights.items()})


def register_clip(
    world: World, name: str, weights: bytes, role: str = "suspect", reads: bool | None = True
) -> RegisteredModel:
    """As after a connection test. reads: what it said about a text tower; None for one of an earlier version."""
    digest = hashlib.sha256(weights).hexdigest()
    connection = {"images_per_second": 500.0, "input_shape": [3, 32, 32], "levels": ["features"]}
    model = RegisteredModel(
        organisation=world.owner,
        role=role,
        name=name,
        spec=SPEC.to_json(),
        weights_name=f"{name}.safetensors",
        weights_size=len(weights),
        sha256=digest,
        connection=connection | ({} if reads is None else {"reads_captions": reads}),
        identity=Identity(digest).to_json(),
        created_by=world.auditor,
        declared_at=timezone.now() if role == "reference" else None,
    )
    model.weights.save(f"{name}.safetensors", ContentFile(weights), save=False)
    model.save()
    return model
