"""A model is known again by the values of its tensors, and by its answers to noise, whatever is said about it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file

from audits.suspects import ModelSpec, SuspectError
from audits.suspects.architectures import build
from audits.suspects.cifar_resnet import CifarResNet
from audits.suspects.geometry import NOISE_IMAGES, distance, noise_images
from audits.suspects.identity import TOLERANCE, Identity, identity_of, likeness
from audits.suspects.noise_answers import noise_answers
from audits.suspects.tensor_values import digest_over, tensor_digests
from tests.audits.suspects.models import FEATURES, LABELS, onnx_file, save, seeded, told

pytestmark = pytest.mark.long

SPEC = ModelSpec("cifar_resnet:20", returns=("features", "soft", "hard"))


def state(seed: int = 1) -> dict[str, torch.Tensor]:
    seeded(seed)
    return CifarResNet(20).state_dict()


def digest_of_values(path: Path) -> str:
    return digest_over(tensor_digests(path))


def known(path: Path, spec: ModelSpec = SPEC) -> Identity:
    """As the confined child finds it, in this process."""
    encoder, found = build(spec, path, torch.device("cpu")), tensor_digests(path)
    said = {"tensors": digest_over(found), "parts": [one.hex()[:16] for one in found]}
    return identity_of({**said, "named": encoder.network.named.to_json()}, noise_answers(encoder))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return save(state(), tmp_path_factory.mktemp("weights") / "w.safetensors")


@pytest.fixture(scope="module")
def identity(original):
    return known(original)


@pytest.mark.parametrize("disguise", ["metadata", "names", "counters", "wider", "pickled", "wrapped", "order"])
def test_whatever_a_file_calls_its_tensors_their_values_are_known_again(disguise, original, tmp_path):
    tensors, path = state(), tmp_path / "weights"
    match disguise:
        case "metadata":
            save_file({name: t.contiguous() for name, t in tensors.items()}, path, metadata={"note": "x"})
        case "names":
            save({f"module.encoder.{name}": t for name, t in tensors.items()}, path)
        case "counters":
            save({n: t + 7 if n.endswith("num_batches_tracked") else t for n, t in tensors.items()}, path)
        case "wider":
            save({n: t.double() if t.is_floating_point() else t for n, t in tensors.items()}, path)
        case "pickled":
            torch.save(tensors, path)
        case "wrapped":
            torch.save({"state_dict": {f"model.{name}": t for name, t in tensors.items()}, "epoch": 3}, path)
        case "order":
            torch.save(dict(reversed(list(tensors.items()))), path)
    assert path.read_bytes() != original.read_bytes()
    assert digest_of_values(path) == digest_of_values(original)


def test_another_value_is_another_digest(original, tmp_path):
    tensors = state()
    tensors["conv1.weight"].view(-1)[0] += 1e-6
    assert digest_of_values(save(tensors, tmp_path / "w.safetensors")) != digest_of_values(original)


def test_the_weights_of_an_onnx_file_are_known_by_their_values(tmp_path):
    made = onnx.load(onnx_file(tmp_path / "one.onnx"))
    for tensor in made.graph.initializer:
        for node in made.graph.node:
            node.input[:] = [f"other {name}" if name == tensor.name else name for name in node.input]
        tensor.name = f"other {tensor.name}"
    first = made.graph.initializer[0]
    first.float_data.extend(numpy_helper.to_array(first).ravel().tolist())  # listed instead of raw
    first.ClearField("raw_data")
    made.producer_name = "somebody else"
    onnx.save(made, tmp_path / "two.onnx")
    assert digest_of_values(tmp_path / "one.onnx") == digest_of_values(tmp_path / "two.onnx")
    other = digest_of_values(onnx_file(tmp_path / "three.onnx", shown=0.9))
    assert other != digest_of_values(tmp_path / "one.onnx")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (TensorProto.FLOAT, [0.5, -2.0]),
        (TensorProto.DOUBLE, [0.5, -2.0]),
        (TensorProto.FLOAT16, [0.5, -2.0]),
        (TensorProto.BFLOAT16, [0.5, -2.0]),
        (TensorProto.INT8, [3, -2]),
        (TensorProto.UINT8, [3, 254]),
    ],
)
@pytest.mark.parametrize("raw", [True, False])
def test_every_type_of_weights_in_an_onnx_file_is_read(kind, values, raw, tmp_path):
    """As a state dict that holds the same numbers; shapes, which are whole numbers of 64 bits, are left out."""
    made = onnx.load(onnx_file(tmp_path / "n.onnx"))
    listed = helper.make_tensor("w", kind, [2], values)
    if raw:
        stored = numpy_helper.to_array(listed).astype(helper.tensor_dtype_to_np_dtype(kind))
        listed = helper.make_tensor("w", kind, [2], stored.tobytes(), raw=True)
    del made.graph.initializer[:]
    made.graph.initializer.extend([listed, numpy_helper.from_array(np.array([7, 7], dtype=np.int64), "shape")])
    onnx.save(made, tmp_path / "n.onnx")
    save({"anything": torch.tensor(values, dtype=torch.float32)}, tmp_path / "w.safetensors")
    assert digest_of_values(tmp_path / "n.onnx") == digest_of_values(tmp_path / "w.safetensors")


def halved(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}


def noisy(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    seeded(5)
    return {n: t * (1 + 1e-4 * torch.randn(t.shape)) if t.is_floating_point() else t for n, t in tensors.items()}


@pytest.mark.parametrize("change", [halved, noisy])
def test_a_rounded_copy_is_known_by_its_answers(change, identity, tmp_path):
    copy = known(save(change(state()), tmp_path / "w.safetensors"))
    assert copy.tensors != identity.tensors
    assert likeness(copy, identity) == "answers"


@pytest.mark.parametrize(
    "said",
    [
        {"mean": (0.1, 0.2, 0.3), "deviation": (0.9, 0.8, 0.7)},
        {"precision": "bfloat16"},
        {"input_size": 48},
        {"returns": ("features",)},
        {"returns": ("soft", "hard"), "top_k": 2},
    ],
)
def test_nothing_that_is_said_about_a_model_makes_it_another(said, identity, tmp_path):
    told = known(save(noisy(state()), tmp_path / "w.safetensors"), replace(SPEC, **said))
    assert likeness(told, identity) == "answers"


def test_dimensions_in_another_order_are_the_same_answers(identity):
    rng = np.random.default_rng(2)
    features = rng.normal(size=(NOISE_IMAGES, 40)).astype(np.float32)
    turn = np.linalg.qr(rng.normal(size=(40, 40)))[0].astype(np.float32)
    made = [
        identity_of(told(f"{number:064x}", **FEATURES), {"1 64": rows})
        for number, rows in enumerate((features, features[:, ::-1].copy(), 3 * features @ turn + 1))
    ]
    assert [likeness(made[0], other) for other in made] == ["tensors", "answers", "answers"]
    assert likeness(made[0], replace(identity, geometries={"features 32": ()})) is None


def test_another_training_is_another_model(identity, tmp_path):
    for seed in (2, 3, 4):
        other = known(save(state(seed), tmp_path / f"{seed}.safetensors"))
        assert likeness(other, identity) is None
        shared = min(distance(other.geometries[name], identity.geometries[name]) for name in identity.geometries)
        assert shared > 5 * TOLERANCE


def test_a_copy_that_computes_one_size_alone_is_known_by_its_answers_at_that_size(tmp_path):
    spec = ModelSpec("onnx", returns=("features", "soft"), scores_output="logits", scores="logits")
    sized = numpy_helper.from_array(np.array([0, 3, 16, 16], dtype=np.int64), "sized")
    made = onnx.load(onnx_file(tmp_path / "fixed.onnx", side=16))
    made.graph.node.insert(0, helper.make_node("Reshape", ["images", "sized"], ["seen"]))
    made.graph.node[1].input[0] = "seen"
    made.graph.initializer.append(sized)
    onnx.save(made, tmp_path / "fixed.onnx")
    fixed = known(tmp_path / "fixed.onnx", spec)
    free = known(onnx_file(tmp_path / "free.onnx", side="side"), replace(spec, input_size=16))
    assert {name.split()[1] for name in fixed.geometries} == {"16"}
    assert {name.split()[1] for name in free.geometries} == {"16", "64", "224"}
    assert likeness(fixed, replace(free, tensors="b" * 64)) == "answers"


def rows(answers: list[int], classes: int = 3, sure: float = 1.0) -> np.ndarray:
    made = np.full((NOISE_IMAGES, classes), (1 - sure) / (classes - 1), np.float32)
    made[np.arange(NOISE_IMAGES), answers] = sure
    return made


def test_labels_alone_decide_nothing():
    labels = [0, 1, 2, 1] * 4
    one, other = (identity_of(told(t * 64, **LABELS), {"1 32": rows(labels)}) for t in "ab")
    assert one.geometries == {}
    assert likeness(one, other) == "labels"
    assert likeness(one, identity_of(told("c" * 64, **LABELS), {"1 32": rows([0] * 16)})) is None
    spread = identity_of(told("d" * 64, **LABELS), {"1 32": rows(labels, sure=0.6)})
    assert spread.geometries == {}  # a softmax over labels makes them no answers
    unsure = rows(labels) * np.linspace(0.5, 0.9, NOISE_IMAGES, dtype=np.float32)[:, None] + np.float32(0.1)
    known_again = [identity_of(told(t * 64, **LABELS), {"1 32": unsure}) for t in "ab"]
    assert likeness(*known_again) == "answers"


@pytest.mark.parametrize(
    ("mine", "theirs", "found"),
    [("abc", "abd", "parts"), ("ab", "ac", None), ("a", "abc", None), ("ab", "abc", "parts"), ("", "", None)],
)
def test_more_than_half_of_the_tensors_of_the_model_with_more_make_two_one(mine, theirs, found):
    one, other = (Identity(t * 64, parts=tuple(held)) for t, held in (("1", mine), ("2", theirs)))
    assert likeness(one, other) == likeness(other, one) == found


def test_a_bridge_of_a_tensor_from_each_joins_no_two_models():
    one, other, bridge = (Identity(t * 64, parts=tuple(held)) for t, held in (("1", "abc"), ("2", "xyz"), ("3", "ax")))
    assert likeness(bridge, one) is likeness(bridge, other) is None


def test_answers_that_are_all_the_same_tell_nothing():
    same = {"1 32": np.ones((NOISE_IMAGES, 4), np.float32)}
    assert identity_of(told("a" * 64, **FEATURES), same).geometries == {}


def test_an_identity_survives_its_json(identity):
    assert Identity.from_json(json.loads(json.dumps(identity.to_json()))) == identity


ROWS = np.ones((NOISE_IMAGES, 4), np.float32)
SAID = told("a" * 64, **FEATURES)


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        (SAID | {"tensors": "a"}, {"1 32": ROWS}),
        (SAID, {}),
        (SAID, {"1": ROWS}),
        (SAID, {"features 32": ROWS}),
        (SAID, {"2 32": ROWS}),
        (SAID, {"1 32": ROWS, "0 32": ROWS}),
        (SAID, {"1 32": ROWS, "33 32": ROWS}),
        (SAID, {"1 32": ROWS[:3]}),
        (SAID, {"1 32": ROWS[:, :0]}),
        (SAID, {"1 32": ROWS.astype(np.float64)}),
        (SAID, {"1 32": np.full_like(ROWS, np.nan)}),
        (SAID, {"1 32 raw": ROWS}),
        (SAID | {"named": {"features": "1"}}, {"1 32": ROWS}),
        (SAID | {"named": {"features": 1, "logits": 1}}, {"1 32": ROWS}),
        (SAID | {"named": {"features": 1, "more": 1}}, {"1 32": ROWS}),
        ({name: said for name, said in SAID.items() if name != "named"}, {"1 32": ROWS}),
        ({name: said for name, said in SAID.items() if name != "parts"}, {"1 32": ROWS}),
        (SAID | {"parts": ["a"]}, {"1 32": ROWS}),
        (SAID | {"parts": ["a" * 16] * 5000}, {"1 32": ROWS}),
    ],
)
def test_a_child_that_says_anything_else_is_not_believed(said, answers):
    with pytest.raises(SuspectError, match="identity"):
        identity_of(said, answers)


def test_the_noise_is_the_same_for_ever():
    """Stored identities rest on it."""
    images = noise_images(20)
    assert images.shape == (NOISE_IMAGES, 20, 20, 3)
    assert images[0, 0, 0].tolist() == [47, 152, 207]
    assert int(images.astype(np.int64).sum()) == 2_428_904
