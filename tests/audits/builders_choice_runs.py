"""Everything a real run about images at home needs: a version in blocks, its copy, and networks that remember."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
from django.core.files.base import ContentFile
from django.utils import timezone
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from audits.models import Plan, RegisteredModel
from audits.services.plans.drafting import save_draft
from audits.services.plans.locking import lock
from audits.services.plans.values import PlanValues
from audits.suspects import ModelSpec
from audits.suspects.identity import Identity
from provenance.marks import MarkSets, MarkSettings, WithheldSettings
from provenance.models import Release, Version
from provenance.services import releases
from provenance.services.keyed_choices import keyed_choice
from tests.audits import builders_runs
from tests.audits.builders_runs import CLASSES, SIDE
from tests.provenance.builders_withheld import blocked
from tests.world import World

PER_CLASS, BLOCK = 20, 4
BLOCKS = len(CLASSES) * PER_CLASS // BLOCK
SURE = 0.0001
FEATURES, THRESHOLD = 32, 0.5  # how alike a picture must be for a network to remember it
# Nodes of a network: how alike an image is to each template, in grey and apart from brightness and contrast.
ALIKENESS = [
    ("ReduceMean", ["images"], "grey", {"axes": [1], "keepdims": 0}),
    ("Flatten", ["grey"], "levels", {}),
    ("ReduceMean", ["levels"], "mean", {"axes": [1], "keepdims": 1}),
    ("Sub", ["levels", "mean"], "centred", {}),
    ("ReduceL2", ["centred"], "length", {"axes": [1], "keepdims": 1}),
    ("Add", ["length", "small"], "long", {}),
    ("Div", ["centred", "long"], "unit", {}),
    ("MatMul", ["unit", "templates"], "alike", {}),
]


def smooth(rng: np.random.Generator) -> np.ndarray:
    """A picture whose crops look like it."""
    small = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def make_version(world: World, name: str = "Hills", seed: int = 7, per_class: int = PER_CLASS) -> Version:
    return builders_runs.make_version(world, per_class, name, seed, smooth)


def withheld_release(world: World, version: Version, recipient: str = "North", *struck: MarkSettings) -> Release:
    """A copy that lacks what its key keeps at home, by the services; of all blocks, but beside struck sets of some."""
    row = version.blockings.first() or blocked(world, version, distance=0, block_size=BLOCK)
    home = WithheldSettings(row.digest, row.block_size, 0.1 if struck else 1 / BLOCK)
    marks = MarkSets((*struck, home))
    (made,) = releases.make_releases(version, [recipient], marks, by=world.rights_holder, outlets="kept")
    made.refresh_from_db()
    assert made.state == Release.State.READY, made.job and made.job.reason
    return Release.objects.select_related("version", "key").get(pk=made.pk)


def pixels_below(folder: Path) -> np.ndarray:
    """(n, 24, 24, 3) uint8: all images below a folder, in the order of their paths."""
    return np.stack([np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.rglob("*.png"))])


def pixels_at_home(release: Release) -> np.ndarray:
    """Those that stayed home."""
    choice = keyed_choice(release)
    return pixels_below(release.version.files_folder)[choice.positions[choice.home]]


def remembering(images: np.ndarray | None, seed: int) -> bytes:
    """An ONNX network: random features of a picture, and a direction of its own for each that it remembers, whichever
    way it is turned, cropped or coloured; labels follow from both."""
    rng = np.random.default_rng(seed)
    known = rng.integers(0, 256, (2, SIDE, SIDE, 3)) if images is None else images  # two that nobody ever shows it
    grey = np.concatenate([known, known[:, :, ::-1]]).mean(axis=3).reshape(2 * len(known), -1)
    grey = grey - grey.mean(axis=1, keepdims=True)
    directions = rng.normal(size=(len(known), FEATURES))
    constants = {
        "templates": (grey / np.linalg.norm(grey, axis=1, keepdims=True)).T,
        "directions": np.concatenate([directions, directions]),
        "plain": rng.normal(size=(SIDE * SIDE * 3, FEATURES)) / SIDE / np.sqrt(3),
        "threshold": np.array(THRESHOLD),
        "small": np.array(1e-6),
        "head": rng.normal(size=(FEATURES, len(CLASSES))),
    }
    nodes = [
        *ALIKENESS,
        ("Sub", ["alike", "threshold"], "above", {}),
        ("Relu", ["above"], "met", {}),
        ("MatMul", ["met", "directions"], "remembered", {}),
        ("Flatten", ["images"], "flat", {}),
        ("MatMul", ["flat", "plain"], "seen", {}),
        ("Add", ["seen", "remembered"], "embedding", {}),
        ("MatMul", ["embedding", "head"], "logits", {}),
    ]
    graph = helper.make_graph(
        [helper.make_node(kind, given, [name], **more) for kind, given, name, more in nodes],
        "remembering",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", FEATURES]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(CLASSES)]),
        ],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def register(world: World, name: str, weights: bytes, role: str = "suspect") -> RegisteredModel:
    """As after a connection test."""
    spec = ModelSpec(
        "onnx",
        returns=("features", "soft", "hard"),
        input_size=SIDE,
        mean=(0.0, 0.0, 0.0),
        deviation=(1.0, 1.0, 1.0),
        features_output="embedding",
        scores_output="logits",
    )
    digest = hashlib.sha256(weights).hexdigest()
    model = RegisteredModel(
        organisation=world.owner,
        role=role,
        name=name,
        spec=spec.to_json(),
        weights_name=f"{name}.onnx",
        weights_size=len(weights),
        sha256=digest,
        connection={"images_per_second": 2000.0, "input_shape": [3, SIDE, SIDE], "levels": list(spec.returns)},
        identity=Identity(digest).to_json(),
        created_by=world.auditor,
        declared_at=timezone.now() if role == "reference" else None,
    )
    model.weights.save(f"{name}.onnx", ContentFile(weights), save=False)
    model.save()
    return model


def locked_plan(world: World, tested: list[Release], suspect: RegisteredModel, **more) -> Plan:
    """Without a wrong key unless told otherwise: one in a hundred is found by chance, and takes the evidence away.

    Views follow from the plan's time, so that what an innocent network answers differs from run to run: SURE is an
    alpha at which it is accused by chance once in ten thousand runs.
    """
    sizes = {"views": 6, "smallest_crop": 0.8, "level": "features", "wrong_key_control": False}
    values = PlanValues(name=suspect.name, version=tested[0].version, releases=tested, suspect=suspect, **sizes | more)
    return lock(save_draft(values, by=world.auditor), by=world.auditor)
