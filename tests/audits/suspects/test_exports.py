"""A model is known again in the forms in which it is handed on: exported for one size, with its normalisation inside,
naming labels alone."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from audits.suspects import ModelSpec
from audits.suspects.geometry import distance
from audits.suspects.identity import TOLERANCE, Identity, likeness
from audits.suspects.small_resnet import SmallResNet
from audits.suspects.spec import IMAGENET_DEVIATION, IMAGENET_MEAN
from tests.audits.suspects.models import save, seeded
from tests.audits.suspects.test_identity import known

pytestmark = pytest.mark.long

ORIGINAL = ModelSpec("small_resnet:8:1-1-1-1", returns=("features", "soft"), input_size=32)
EXPORT = ModelSpec("onnx", returns=("features", "soft"), scores_output="scores", scores="logits")


def network(seed: int = 1) -> SmallResNet:
    """With the statistics of its norms taken from images, as a training leaves them."""
    seeded(seed)
    made = SmallResNet(8, (1, 1, 1, 1), 10)
    with torch.no_grad():
        for _ in range(20):
            made.train()(torch.rand(16, 3, 32, 32) * 4 - 2)
    return made.eval()


class Normalising(nn.Module):
    """Takes images up to `top` and normalises them itself."""

    def __init__(self, inner: nn.Module, mean: tuple[float, ...], deviation: tuple[float, ...], top: float) -> None:
        super().__init__()
        self.inner, self.top = inner, top
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = self.inner((images / self.top - self.mean) / self.deviation)
        return found


class Labelling(nn.Module):
    """Names its likeliest label and nothing else, as sure as can be."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        scores = self.inner(images)[1]
        return nn.functional.one_hot(scores.argmax(1), scores.shape[1]).float()


def exported(module: nn.Module, path: Path, side: int, names: tuple[str, ...] = ("features", "scores")) -> Path:
    """For one image of one size at a time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), (torch.zeros(1, 3, side, side),), path, output_names=list(names), dynamo=False)
    return path


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Identity:
    return known(save(network().state_dict(), tmp_path_factory.mktemp("weights") / "w.safetensors"), ORIGINAL)


@pytest.fixture(scope="module")
def another(tmp_path_factory) -> Identity:
    return known(save(network(2).state_dict(), tmp_path_factory.mktemp("weights") / "w.safetensors"), ORIGINAL)


@pytest.mark.parametrize("side", [48, 36])
def test_an_export_for_an_odd_size_is_asked_at_the_usual_ones(side, original, another, tmp_path):
    export = known(exported(network(), tmp_path / "n.onnx", side), EXPORT)
    assert {f"features {at}" for at in (side, 64, 224)} <= export.geometries.keys()
    assert (likeness(export, original), likeness(export, another)) == ("answers", None)


@pytest.mark.parametrize("top", [1.0, 255.0])
@pytest.mark.parametrize(
    ("mean", "deviation"),
    [(IMAGENET_MEAN, IMAGENET_DEVIATION), ((0.5,) * 3, (0.5,) * 3), ((0.491, 0.482, 0.447), (0.247, 0.243, 0.262))],
)
def test_an_export_that_normalises_images_itself_is_known(top, mean, deviation, another, tmp_path):
    said = replace(ORIGINAL, mean=mean, deviation=deviation)
    original = known(save(network().state_dict(), tmp_path / "w.safetensors"), said)
    export = known(exported(Normalising(network(), mean, deviation, top), tmp_path / "n.onnx", 32), EXPORT)
    plain = "features 64"
    assert distance(export.geometries[plain], original.geometries[plain]) > TOLERANCE  # what hid it
    assert (likeness(export, original), likeness(original, export)) == ("answers", "answers")
    assert likeness(export, another) is None


def test_one_that_names_labels_alone_is_known_by_half_of_its_tensors(another, tmp_path):
    spec = ModelSpec("onnx", returns=("hard",))
    path = exported(Labelling(network()), tmp_path / "one.onnx", 32, ("labels",))
    first = known(path, spec)
    assert first.geometries == {}
    made = onnx.load(path)
    largest = max(made.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    largest.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(largest) * 1.0001, largest.name))
    onnx.save(made, tmp_path / "two.onnx")
    changed = known(tmp_path / "two.onnx", spec)
    assert changed.tensors != first.tensors
    assert likeness(first, changed) == "parts"
    other = known(exported(Labelling(network(2)), tmp_path / "three.onnx", 32, ("labels",)), spec)
    assert likeness(first, other) in (None, "labels")


def test_shared_tensors_decide_nothing_where_answers_do(original, another):
    """A model that was trained further from a part of another keeps many of its tensors."""
    kept = Identity(another.tensors, another.geometries, another.labels, original.parts)
    assert likeness(original, kept) is None
    assert likeness(original, Identity("a" * 64, {}, (), original.parts)) == "parts"
