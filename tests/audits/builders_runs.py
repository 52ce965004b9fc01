"""Everything one real run needs, small: images on disk, a marked copy, and tiny networks trained on either."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from django.core.files.base import ContentFile
from django.utils import timezone
from PIL import Image

from audits.models import Plan, RegisteredModel
from audits.services.plans.drafting import save_draft
from audits.services.plans.locking import lock
from audits.services.plans.values import PlanValues
from audits.suspects import ModelSpec
from audits.suspects.answers import Answers
from audits.suspects.identity import Identity
from audits.suspects.sandbox import SandboxedModel
from provenance.intake.manifest import Entry, Manifest
from provenance.intake.writing import ManifestWriter
from provenance.marks import MarkSets, MarkSettings
from provenance.models import Dataset, Release, Version
from provenance.services import releases
from tests.world import World

CLASSES = ("ash", "birch", "cedar", "elm", "fir", "gum")
SIDE = 24
ARCHITECTURE = "small_resnet:8:1-1"


Pixels = Callable[[np.random.Generator], np.ndarray]


def noise(rng: np.random.Generator) -> np.ndarray:
    """The only thing that tells a class from another is its mark, so a network learns that quickly."""
    return rng.normal(128, 15, (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)


def make_version(
    world: World,
    per_class: int = 50,
    name: str = "Woods",
    seed: int = 7,
    pixels: Pixels = noise,
    caption: Callable[[np.random.Generator], str | None] = lambda rng: None,
) -> Version:
    """So many pictures of every class, plain noise and without captions unless told otherwise."""
    dataset = Dataset.objects.create(organisation=world.owner, name=name, created_by=world.rights_holder)
    version = Version.objects.create(
        dataset=dataset,
        number=1,
        state="ready",
        source="upload",
        source_name="woods.zip",
        labels="folder",
        created_by=world.rights_holder,
        ready_at=timezone.now(),
    )
    rng = np.random.default_rng(seed)
    rows = []
    for label in CLASSES:
        for number in range(per_class):
            rows.append(_write(version.files_folder / label / f"{number:03d}.png", pixels(rng), label, caption(rng)))
    manifest_of(version.manifest_folder, rows)
    with Manifest(version.manifest_folder) as manifest:
        version.root, version.facts = manifest.root, manifest.facts
        version.file_count = len(manifest)
    version.save()
    return version


def _write(path: Path, pixels: np.ndarray, label: str, caption: str | None) -> tuple[Entry, int, int]:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    data = stream.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    entry = Entry(f"{label}/{path.name}", len(data), digest, "PNG", SIDE, SIDE, "RGB", label=label, caption=caption)
    return entry, zlib.crc32(data), path.stat().st_mtime_ns


def manifest_of(folder: Path, rows: list[tuple[Entry, int, int]]) -> None:
    writer = ManifestWriter(folder)
    writer.write_block(0, sorted(rows, key=lambda row: row[0].path.encode()))
    writer.finish(1).close()


def settings() -> MarkSettings:
    return MarkSettings(groups=CLASSES, share=0.5, side=0.25, opacity=1.0)


def images_of(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """All pixels and classes under a folder of classes."""
    images, labels = [], []
    for number, label in enumerate(CLASSES):
        for path in sorted((folder / label).glob("*.png")):
            images.append(np.asarray(Image.open(path).convert("RGB")))
            labels.append(number)
    return np.stack(images), np.array(labels)


def train(folder: Path, seed: int, epochs: int = 25, labels: np.ndarray | None = None) -> bytes:
    """Weights of a small classifier trained on the images of a folder, as safetensors.

    labels: what it learns of each image, in the order of their paths; their classes where nothing is said.
    """
    import torch
    from safetensors.torch import save

    from audits.suspects.small_resnet import SmallResNet

    images, classes = images_of(folder)
    torch.manual_seed(seed)
    network = SmallResNet(8, (1, 1), len(CLASSES))
    x = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
    y = torch.from_numpy(classes if labels is None else labels)
    steps = epochs * (len(x) // 50)
    optimiser = torch.optim.AdamW(network.parameters(), 0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.01, total_steps=steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(50)[: len(x) // 50]:
            loss = torch.nn.functional.cross_entropy(network(x[batch])[1], y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return save({name: value.contiguous() for name, value in network.state_dict().items()})


def register(world: World, name: str, weights: bytes, role: str = "suspect") -> RegisteredModel:
    spec = ModelSpec(
        ARCHITECTURE,
        returns=("features", "soft", "hard"),
        input_size=SIDE,
        mean=(0.5, 0.5, 0.5),
        deviation=(0.25, 0.25, 0.25),
        classes=len(CLASSES),
    )
    model = RegisteredModel(
        organisation=world.owner,
        role=role,
        name=name,
        spec=spec.to_json(),
        weights_name=f"{name}.safetensors",
        weights_size=len(weights),
        sha256=hashlib.sha256(weights).hexdigest(),
        connection={"images_per_second": 2000.0, "input_shape": [3, SIDE, SIDE], "levels": list(spec.returns)},
        identity=Identity(hashlib.sha256(weights).hexdigest()).to_json(),
        created_by=world.auditor,
    )
    model.weights.save(f"{name}.safetensors", ContentFile(weights), save=False)
    model.save()
    return model


def untrained(seed: int) -> bytes:
    """Weights of a network that never saw any image."""
    import torch
    from safetensors.torch import save

    from audits.suspects.small_resnet import SmallResNet

    torch.manual_seed(seed)
    return save({k: v.contiguous() for k, v in SmallResNet(8, (1, 1), len(CLASSES)).state_dict().items()})


def make_releases(world: World, version: Version, *recipients: str) -> list[Release]:
    """Through the service and its job; the caller's transaction must let on_commit run."""
    made = releases.make_releases(version, recipients, MarkSets((settings(),)), by=world.rights_holder)
    return [Release.objects.select_related("version", "key").get(pk=release.pk) for release in made]


def locked_plan(world: World, tested: list[Release], suspect: RegisteredModel, **more) -> Plan:
    sizes = {"probes": 40, "group_images": 8, "permutations": 1000, "level": "soft"}
    values = PlanValues(name=suspect.name, version=tested[0].version, releases=tested, suspect=suspect, **sizes | more)
    return lock(save_draft(values, by=world.auditor), by=world.auditor)


@contextmanager
def confined_child_killed_when(moment: Callable[[], bool]) -> Iterator[None]:
    """Ends the confined process, as a machine that runs out of memory does, at the first question that finds it so."""
    ask = SandboxedModel.answer

    def answer(model: SandboxedModel, *question: Any, **more: Any) -> Answers:
        if moment():
            assert model._process is not None
            os.kill(model._process.pid, signal.SIGKILL)
        return ask(model, *question, **more)

    with mock.patch.object(SandboxedModel, "answer", answer):
        yield


def blocks_are_answered(folder: Path, count: int) -> Callable[[], bool]:
    """Whether so many blocks of answers are stored in a folder."""
    return lambda: len(list(folder.rglob("*.done"))) >= count
