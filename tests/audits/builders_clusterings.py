"""Images without labels in six colours, and a tiny stranger's network that has never learnt anything."""

from __future__ import annotations

import hashlib
import io
import zlib
from pathlib import Path

import numpy as np
from django.utils import timezone
from PIL import Image

from audits.models import RegisteredModel
from audits.services.models.registering import Registration, register_local
from audits.suspects import ModelSpec
from provenance.intake.manifest import Entry, Manifest
from provenance.models import Dataset, Version
from tests.audits.builders_runs import SIDE, manifest_of, register, untrained
from tests.world import World

COLOURS = ((200, 60, 60), (60, 200, 60), (60, 60, 200), (200, 200, 60), (60, 200, 200), (128, 128, 128))


def colours_version(world: World, per_colour: int = 40, broken: int = 0, name: str = "Colours") -> Version:
    """A ready version without labels; file number i has colour i % 6. The first `broken` files are no images."""
    dataset = Dataset.objects.create(organisation=world.owner, name=name, created_by=world.rights_holder)
    version = Version.objects.create(
        dataset=dataset, number=1, state="ready", source="upload", source_name="colours.zip",
        created_by=world.rights_holder, ready_at=timezone.now(),
    )  # fmt: skip
    rng = np.random.default_rng(5)
    rows = []
    for number in range(per_colour * len(COLOURS)):
        colour = np.array(COLOURS[number % len(COLOURS)])
        pixels = (colour + rng.normal(0, 15, (SIDE, SIDE, 3))).clip(0, 255).astype(np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        data = stream.getvalue() if number >= broken else b"no image at all"
        path = version.files_folder / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        entry = Entry(path.name, len(data), digest, "PNG", SIDE, SIDE, "RGB")
        rows.append((entry, zlib.crc32(data), path.stat().st_mtime_ns))
    manifest_of(version.manifest_folder, rows)
    with Manifest(version.manifest_folder) as manifest:
        version.root, version.facts, version.file_count = manifest.root, manifest.facts, len(manifest)
    version.save()
    return version


def timm_encoder(world: World, folder: Path, name: str = "Tiny ResNet", seed: int = 0) -> RegisteredModel:
    """A timm network with random weights from a local file, registered by the rights-holder and really tested."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    network = timm.create_model("test_resnet", pretrained=False)
    path = folder / f"{name}.safetensors"
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, path)
    spec = ModelSpec("timm:test_resnet", input_size=32, mean=(0.5,) * 3, deviation=(0.25,) * 3)
    return register_local(world.owner, Registration(name, "encoder", spec), path, by=world.rights_holder)


def small_encoder(world: World, name: str = "Small ResNet") -> RegisteredModel:
    """One that counts as tested, for tests that are about something else."""
    encoder = register(world, name, untrained(seed=8), "encoder")
    encoder.connection |= {"feature_size": 16, "device": "cpu"}
    encoder.connection_at = timezone.now()
    encoder.save()
    return encoder
