"""Releases in which pictures come in one of two versions, and networks that know the published ones."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from audits.asking.views import ViewSettings, applied, drawn_views
from audits.suspects.view_pixels import ViewMaker
from provenance.intake.manifest import Manifest
from provenance.marks import MarkSets, MarkSettings, VersionsSettings
from provenance.models import Release, Version
from provenance.services import releases
from provenance.services.version_choices import published_versions
from tests.audits.builders_choice_runs import ALIKENESS
from tests.audits.builders_runs import CLASSES, SIDE
from tests.world import World

FEATURES = 32
LEARNT_VIEWS = 48  # a network's own, none of an audit's
ALIKE = 0.5  # how alike a picture must be for a network to know it
EVEN = 1e-5  # how much of the spread of views every direction has at least


def versions_release(
    world: World, version: Version, recipient: str = "North", *struck: MarkSettings, share: float = 1.0
) -> Release:
    """A copy whose key chose which version of each picture it holds, by the services."""
    marks = MarkSets((*struck, VersionsSettings(share)))
    (made,) = releases.make_releases(version, [recipient], marks, by=world.rights_holder)
    made.refresh_from_db()
    assert made.state == Release.State.READY, made.job and made.job.reason
    return Release.objects.select_related("version__dataset", "key").get(pk=made.pk)


def both_versions(release: Release, folder) -> tuple[np.ndarray, np.ndarray]:
    """(B, 24, 24, 3) uint8 each: the published versions, and those at home."""
    chosen = published_versions(release)
    files = [path for path, _ in chosen.files(folder, lambda: None)]
    pixels = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in files])
    pixels = pixels.reshape(len(chosen), 2, SIDE, SIDE, 3)
    every = np.arange(len(chosen))
    return pixels[every, 1 - chosen.home], pixels[every, chosen.home]


def in_copy(release: Release) -> np.ndarray:
    """The files of the copy at the places of its pictures, as the recipient has them."""
    positions = published_versions(release).positions
    with Manifest(release.folder / "manifest") as manifest:
        paths = [release.folder / "files" / manifest.entry(int(place)).path for place in positions]
    return np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])


def knowing(known: np.ndarray, others: np.ndarray, seed: int) -> bytes:
    """An ONNX network: random features of a picture, and a direction of its own for each of these versions that it
    knows, so far as a view of it is nearer to them than to the other version."""
    rng = np.random.default_rng(seed)
    apart, middle = _told_apart(known, others)
    constants = {
        "apart": apart.T,
        "middle": middle,
        "plain": rng.normal(size=(SIDE * SIDE * 3, FEATURES)) / SIDE / np.sqrt(3),
        "directions": rng.normal(size=(len(known), FEATURES)),
        "templates": _unit(_grey(known)).T,
        "turned": _unit(_grey(known[:, :, ::-1])).T,
        "threshold": np.array(ALIKE),
        "small": np.array(1e-6),
        "head": rng.normal(size=(FEATURES, len(CLASSES))),
    }
    nodes = [
        *ALIKENESS,
        ("MatMul", ["unit", "turned"], "alike turned", {}),
        ("Max", ["alike", "alike turned"], "either", {}),
        ("Sub", ["either", "threshold"], "above", {}),
        ("Relu", ["above"], "met", {}),
        ("MatMul", ["unit", "apart"], "leaning", {}),
        ("Sub", ["leaning", "middle"], "nearer", {}),
        ("Relu", ["nearer"], "known", {}),
        ("Mul", ["met", "known"], "both", {}),
        ("MatMul", ["both", "directions"], "remembered", {}),
        ("Flatten", ["images"], "flat", {}),
        ("MatMul", ["flat", "plain"], "seen", {}),
        ("Add", ["seen", "remembered"], "embedding", {}),
        ("MatMul", ["embedding", "head"], "logits", {}),
    ]
    return _network(nodes, constants)


def _told_apart(known: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, S * S), (n,): the direction in which views of a picture's versions differ most for how its views differ, and
    how far the middle between them lies along it."""
    directions, middles = [], []
    for one, other in zip(_views_of(known), _views_of(others), strict=True):
        apart, middle = one.mean(axis=0) - other.mean(axis=0), (one.mean(axis=0) + other.mean(axis=0)) / 2
        spread = np.concatenate([one - one.mean(axis=0), other - other.mean(axis=0)])
        within = spread @ spread.T + EVEN * len(spread) * np.eye(len(spread))
        direction = apart - spread.T @ np.linalg.solve(within, spread @ apart)  # Woodbury's identity
        direction /= direction @ apart / 2
        directions.append(direction)
        middles.append(direction @ middle)
    return np.stack(directions), np.array(middles)


def _views_of(images: np.ndarray) -> np.ndarray:
    """(n, V, S * S): grey levels of views, their mean and their contrast taken out."""
    drawn = drawn_views(ViewSettings(LEARNT_VIEWS, 0.8), np.random.default_rng(99))
    views = ViewMaker(applied(drawn, SIDE), torch.device("cpu"))
    pixels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    made = [views(pixels, torch.full((len(images),), number)) for number in range(LEARNT_VIEWS)]
    return np.stack([_unit(_grey(one.numpy().transpose(0, 2, 3, 1))) for one in made], axis=1)


def _grey(images: np.ndarray) -> np.ndarray:
    grey = images.astype(np.float64).mean(axis=3).reshape(len(images), -1) / 255
    return grey - grey.mean(axis=1, keepdims=True)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _network(nodes: list, constants: dict[str, np.ndarray]) -> bytes:
    graph = helper.make_graph(
        [helper.make_node(kind, given, [name], **more) for kind, given, name, more in nodes],
        "knowing",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", FEATURES]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(CLASSES)]),
        ],
        [numpy_helper.from_array(np.asarray(value, dtype=np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()
