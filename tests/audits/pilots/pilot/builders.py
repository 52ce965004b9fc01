"""A tiny version on disk with blocks, and a pilot of it that takes seconds."""

from pathlib import Path

import numpy as np
from PIL import Image

from audits.pilots.pilot.pool import Pool
from audits.pilots.pilot.reading import read_pool
from audits.pilots.pilot.settings import PilotSettings, Proposal
from provenance.intake.labels import Labels
from provenance.intake.manifest import Manifest
from provenance.intake.take_in import IntakeOptions, take_in
from provenance.marks import PRESETS, ImageBlocks, WithheldSettings
from tests.audits.pilots.textures import textures

IMAGES = 64
CLASSES = ("a", "b", "c", "d")
STRUCK = Proposal("Strong patch", PRESETS["strong"].settings(CLASSES, share=0.2))
PLAIN = Proposal("Plain patch", PRESETS["strong"].settings((), association="plain", share=0.2))
AT_HOME = Proposal("20 % at home", WithheldSettings("0" * 64, 4, 0.2))
TINY = PilotSettings(
    proposals=(STRUCK, AT_HOME),
    seed=1,
    runs=1,
    references=1,
    images=52,
    epochs=1,
    batch_size=16,
    encoder="small_resnet:8:1-1",
    side=16,
    probes=4,
    group_images=2,
    views=2,
    permutations=100,
    decoys=19,
    alpha=0.05,
    device="cpu",
)


def blocks_of_four(images: int = IMAGES) -> ImageBlocks:
    """Images that follow each other."""
    return ImageBlocks(np.arange(images, dtype=np.int32), (np.arange(images) // 4).astype(np.int32))


def version(place: Path, labelled: bool = True) -> tuple[Manifest, Path]:
    """The manifest and the files of textures in four classes, or in none."""
    data = textures(IMAGES)
    for number, (image, label) in enumerate(zip(data.images, data.labels, strict=True)):
        folder = place / "source" / (CLASSES[label] if labelled else "")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).resize((64, 64)).save(folder / f"{number:03d}.png")
    labels = Labels("folder") if labelled else Labels()
    taken = take_in(place / "source", place / "version", IntakeOptions(labels=labels, processes=1))
    return Manifest(taken.manifest), taken.files


def pool(place: Path, settings: PilotSettings = TINY, labelled: bool = True) -> Pool:
    manifest, files = version(place, labelled)
    with manifest:
        return read_pool(manifest, files, settings, blocks_of_four())
