"""A network is asked all its outputs, whichever a description names: two halves of one network are one suspect."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from audits.suspects import ModelSpec, SuspectError
from audits.suspects.architectures import build
from audits.suspects.geometry import NOISE_IMAGES
from audits.suspects.identity import MOST_OUTPUTS, TOLERANCE, Identity, identity_of, likeness, nearest
from audits.suspects.noise_answers import noise_answers
from tests.audits.suspects.models import FEATURES, onnx_file, save, told
from tests.audits.suspects.test_exports import ORIGINAL, exported, network
from tests.audits.suspects.test_identity import known

pytestmark = pytest.mark.long

FEATURES_ONLY = ModelSpec("onnx", returns=("features",), features_output="features")
SOFT_ONLY = ModelSpec("onnx", returns=("soft",), scores_output="scores")
HARD_ONLY = ModelSpec("onnx", returns=("hard",), scores_output="scores")
SCORES_AS_FEATURES = ModelSpec("onnx", returns=("features",), features_output="scores")


def changed_a_little(path: Path) -> Path:
    """Every tensor in its last bits, so that no digest is the same."""
    made = onnx.load(path)
    for tensor in made.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype.kind == "f":
            tensor.CopyFrom(numpy_helper.from_array(np.nextafter(values, np.float32(9e9)), tensor.name))
    onnx.save(made, path)
    return path


class Parts(nn.Module):
    """Of a network's features and logits those that are wanted, the latter as probabilities if "labels" is said."""

    def __init__(self, inner: nn.Module, *wanted: str) -> None:
        super().__init__()
        self.inner, self.wanted = inner, wanted

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        features, scores = self.inner(images)
        given = {"features": features, "scores": scores, "labels": scores.softmax(1), "input": images.mean((2, 3))}
        return tuple(given[name] for name in self.wanted)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """An export of the network of a seed, with the outputs that are wanted."""

    def made(seed: int, *wanted: str) -> Path:
        return exported(Parts(network(seed), *wanted), tmp_path_factory.mktemp("files") / "n.onnx", 32, wanted)

    return made


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((FEATURES_ONLY, "features", "scores"), (SOFT_ONLY, "features", "scores")),
        ((FEATURES_ONLY, "features", "scores"), (HARD_ONLY, "scores", "features")),
        ((SCORES_AS_FEATURES, "scores"), (SOFT_ONLY, "scores")),
        ((SCORES_AS_FEATURES, "scores"), (SOFT_ONLY, "features", "scores")),
        (
            (SCORES_AS_FEATURES, "scores"),
            (ModelSpec("onnx", returns=("soft",), scores_output="labels", scores="probabilities"), "labels"),
        ),
        (
            (ModelSpec("onnx", returns=("soft",), scores_output="labels"), "labels"),  # said to be logits
            (ModelSpec("onnx", returns=("soft",), scores_output="labels", scores="probabilities"), "labels"),
        ),
    ],
)
def test_two_halves_of_one_network_are_one_suspect(one, other, file):
    said, *wanted = one
    mine = known(file(1, *wanted), said)
    said, *wanted = other
    theirs = known(changed_a_little(file(1, *wanted)), said)
    assert not set(mine.parts) & set(theirs.parts)
    assert likeness(mine, theirs) == likeness(theirs, mine) == "answers"
    stranger = known(file(2, *wanted), said)
    assert likeness(mine, stranger) in (None, "labels")
    assert nearest(mine, stranger) > 2 * TOLERANCE


@pytest.mark.parametrize("returns", [("features",), ("soft", "hard")])
def test_a_network_of_ours_is_the_same_as_an_export_of_its_scores_alone(returns, file, tmp_path):
    ours = known(save(network().state_dict(), tmp_path / "w.safetensors"), replace(ORIGINAL, returns=returns))
    assert likeness(ours, known(changed_a_little(file(1, "scores")), SOFT_ONLY)) == "answers"
    assert likeness(ours, known(changed_a_little(file(1, "features")), FEATURES_ONLY)) == "answers"
    assert likeness(ours, known(file(2, "scores"), SOFT_ONLY)) is None


def test_outputs_that_nobody_names_join_no_two_strangers(file):
    """Both pass on a shrunken input."""
    one, other = (known(file(seed, "features", "input"), FEATURES_ONLY) for seed in (1, 2))
    assert one.geometries["features/2 64"] == other.geometries["features/2 64"]
    assert likeness(one, other) is None
    assert (one.names("features/1 64"), one.names("features/2 64"), one.names("features 64")) == (True, False, True)


def test_labels_as_numbers_of_an_unnamed_output_join_nobody():
    """Sixteen equal labels of few classes can be chance, in whatever form they are given."""
    rng, label = np.random.default_rng(3), np.arange(NOISE_IMAGES) % 3
    forms = (label[:, None], np.eye(3)[label], 100 * np.eye(3)[label], np.eye(3)[label] * 0.6 + 0.2)
    for form in forms:
        made = [
            identity_of(
                told(f"{number:064x}", **FEATURES),
                {"1 64": rng.normal(size=(NOISE_IMAGES, 9)).astype(np.float32), "2 64": form.astype(np.float32)},
            )
            for number in (1, 2)
        ]
        assert not any(name.endswith("/2 64") for name in made[0].geometries)
        assert likeness(*made) is None


def test_identities_of_before_are_read_and_compared(file):
    """Those held named outputs alone: "features 64" as they came, "soft 64" as probabilities."""
    for said, wanted, then in ((FEATURES_ONLY, "features", "features"), (SOFT_ONLY, "scores", "soft")):
        new = known(file(1, wanted), said)
        kept = {name: values for name, values in new.to_json()["geometries"].items() if name.split()[0] == then}
        assert kept
        before = {"tensors": "e" * 64, "geometries": kept, "labels": list(new.labels), "parts": []}
        old = Identity.from_json(json.loads(json.dumps(before)))
        half = known(file(1, "features", "scores"), SOFT_ONLY if said is FEATURES_ONLY else FEATURES_ONLY)
        assert likeness(old, new) == likeness(half, old) == "answers"
        assert likeness(old, known(file(2, "features", "scores"), SOFT_ONLY)) is None
        assert old.to_json() == before | {"named": []}


def with_outputs(path: Path, count: int) -> Path:
    """The tiny network with further outputs: its features again and again, and one that is no row per image."""
    nodes = [helper.make_node("Identity", ["embedding"], [f"more {number}"]) for number in range(count)]
    made = onnx.load(onnx_file(path))
    made.graph.node.extend([*nodes, helper.make_node("ReduceMean", ["logits"], ["mean"], keepdims=0)])
    more = [helper.make_tensor_value_info(f"more {number}", TensorProto.FLOAT, ["batch", 3]) for number in range(count)]
    made.graph.output.extend([*more, helper.make_tensor_value_info("mean", TensorProto.FLOAT, [])])
    onnx.save(made, path)
    return path


def test_outputs_that_give_no_row_per_image_are_passed_over(tmp_path):
    answers = noise_answers(build(ModelSpec("onnx"), with_outputs(tmp_path / "n.onnx", 1), torch.device("cpu")))
    assert {name.split()[0] for name in answers} == {"1", "2", "3", "4"}
    named = ModelSpec("onnx", features_output="mean")
    with pytest.raises(SuspectError, match=r"“mean” has the shape \(\); one row per image"):
        build(named, tmp_path / "n.onnx", torch.device("cpu")).ask(torch.zeros(2, 3, 16, 16))


def test_a_network_of_very_many_outputs_is_refused_in_words(tmp_path):
    fits = with_outputs(tmp_path / "fits.onnx", MOST_OUTPUTS - 4)
    assert known(fits, ModelSpec("onnx")).named == (1,)
    many = build(ModelSpec("onnx"), with_outputs(tmp_path / "many.onnx", MOST_OUTPUTS - 3), torch.device("cpu"))
    with pytest.raises(SuspectError, match="33 outputs; a suspect may have 32"):
        noise_answers(many)
