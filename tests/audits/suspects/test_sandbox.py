"""Suspects in their confined process, from outside: answers, marks, and every way to fail."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audits.suspects import AppliedMark, Limits, ModelSpec, SandboxedModel, SuspectError, check_connection
from audits.suspects.architectures import build
from provenance.marks import MarkSettings, family_for
from tests.audits.suspects.models import cifar_weights, clip_model, clip_spec, endless_onnx, onnx_file, save

pytestmark = pytest.mark.suspect

SPEC = ModelSpec("cifar_resnet:20", returns=("features", "soft", "hard"))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(5).integers(0, 256, (150, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return cifar_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def suspect(weights, images):
    with SandboxedModel(SPEC, weights) as opened:
        opened.load_images("probes", images)
        yield opened


def directly(weights, images):
    with torch.inference_mode():
        encoder = build(SPEC, weights, torch.device("cpu"))
        features, soft = encoder.ask(torch.as_tensor(images))
    assert features is not None
    assert soft is not None
    return features.numpy(), soft.numpy()


def test_it_says_what_it_is(suspect):
    info = suspect.info
    assert (info.input_shape, info.feature_size, info.class_count) == ((3, 32, 32), 64, 10)
    assert info.levels == ("features", "soft", "hard")
    assert info.device == "CPU"
    assert info.parameters == 269722


def test_answers_are_those_of_the_model_itself(suspect, weights, images):
    chosen = np.array([3, 149, 3, 0])
    answers = suspect.answer("probes", chosen)
    features, soft = directly(weights, images[chosen].transpose(0, 3, 1, 2).astype(np.float32))
    assert np.allclose(answers.features, features, atol=1e-5)
    assert np.allclose(answers.soft, soft, atol=1e-5)
    assert np.array_equal(answers.hard, soft.argmax(1))


@pytest.mark.parametrize("shown", [1, 3, 10, 500])
def test_of_soft_labels_only_the_likeliest_are_named_where_the_description_says_so(weights, images, shown):
    spec = replace(SPEC, returns=("soft", "hard"), top_k=shown)
    chosen = np.arange(40)
    _, soft = directly(weights, images[chosen].transpose(0, 3, 1, 2).astype(np.float32))
    with SandboxedModel(spec, weights) as opened:
        opened.load_images("probes", images)
        answers = opened.answer("probes", chosen)
    assert opened.info.class_count == 10
    assert (np.count_nonzero(answers.soft, axis=1) == min(shown, 10)).all()
    named = answers.soft > 0
    assert np.allclose(answers.soft[named], soft[named], atol=1e-5)
    assert (np.where(named, soft, 1).min(axis=1) >= np.where(named, 0, soft).max(axis=1) - 1e-6).all()
    assert np.array_equal(answers.hard, soft.argmax(1))


def test_an_answer_that_leaves_labels_out_needs_a_description_that_says_so(tmp_path):
    part = onnx_file(tmp_path / "part.onnx", shown=0.8)
    spec = ModelSpec(
        "onnx", ("soft",), input_size=16, mean=(0.0,) * 3, deviation=(1.0,) * 3, scores="probabilities",
        scores_output="labels",
    )  # fmt: skip
    with pytest.raises(SuspectError, match="how many of the likeliest labels"), SandboxedModel(spec, part):
        pass
    with SandboxedModel(replace(spec, top_k=2), part) as opened:
        opened.load_images("probes", np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8))
        soft = opened.answer("probes", np.arange(5)).soft
    assert soft.sum(axis=1).max() < 0.81
    assert (np.count_nonzero(soft, axis=1) == 2).all()


def test_marks_are_put_into_the_images_before_the_model_sees_them(suspect, weights, images):
    mark_settings = MarkSettings(groups=("a", "b", "c", "d"), opacity=0.7)
    family = family_for(mark_settings)
    rng = np.random.default_rng(2)
    patterns, placements = family.patterns(rng, 1), rng.random((100, 2))
    chosen = np.arange(20, 120)
    answers = suspect.answer("probes", chosen, AppliedMark(mark_settings.to_json(), patterns, placements))
    pixels = torch.from_numpy(images[chosen].transpose(0, 3, 1, 2).astype(np.float32))
    marked = family.apply(pixels, torch.from_numpy(patterns), torch.from_numpy(placements))
    assert np.allclose(answers.features, directly(weights, marked)[0], atol=1e-5)
    assert not np.allclose(answers.features, suspect.answer("probes", chosen).features, atol=1e-3)


def test_images_of_many_sizes_are_brought_to_the_input(suspect):
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in [(40, 60), (40, 60), (90, 33), (32, 32)]]
    assert suspect.load_images("many", pictures) == 4
    assert suspect.answer("many", range(4)).features.shape == (4, 64)


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (lambda s: s.answer("probes", [150]), "not there"),
        (lambda s: s.answer("probes", [-1]), "not there"),
        (lambda s: s.answer("probes", []), "at least one"),
        (lambda s: s.answer("never sent", [0]), "never sent"),
        (lambda s: s.load_images("bad", np.zeros((2, 8, 8), dtype=np.uint8)), "array"),
        (lambda s: s.load_images("bad", np.zeros((2, 8, 8, 3), dtype=np.float32)), "bytes"),
        (lambda s: s.load_images("bad", []), "no images"),
        (lambda s: s.answer("probes", [0], mark(np.zeros((2, 4, 4, 3), np.uint8), [[0.5, 0.5]])), "one pattern"),
        (lambda s: s.answer("probes", [0], mark(np.zeros((1, 4, 4, 3), np.uint8), [[0.5, 1.0]])), "fractions"),
        (
            lambda s: s.answer("probes", [0], AppliedMark("{}", np.zeros((1, 4, 4, 3), np.uint8), np.zeros((1, 2)))),
            "groups",
        ),
    ],
)
def test_wrong_requests_are_refused_and_the_suspect_lives_on(suspect, request_, word):
    with pytest.raises(SuspectError, match=word) as refused:
        request_(suspect)
    assert refused.value.kind == "request"
    assert suspect.answer("probes", [0]).features.shape == (1, 64)


def pid_of(suspect):
    assert suspect._process is not None
    return suspect._process.pid


def mark(patterns, placements):
    return AppliedMark(MarkSettings(groups=("a", "b", "c", "d")).to_json(), patterns, np.array(placements))


def test_the_child_is_confined_and_knows_nothing_of_our_surroundings(suspect, monkeypatch):
    process = Path(f"/proc/{pid_of(suspect)}")
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    assert status["Seccomp"] == "2"
    assert status["NoNewPrivs"] == "1"
    names = {entry.split(b"=")[0].decode() for entry in (process / "environ").read_bytes().split(b"\0") if entry}
    assert not {name for name in names if "SECRET" in name or "DATABASE" in name or "DJANGO" in name}
    assert (process / "cwd").readlink() == suspect._folder
    if suspect.info.network_namespace:
        assert (process / "ns/net").readlink() != Path("/proc/self/ns/net").readlink()


def test_a_killed_child_is_told_and_leaves_nothing_behind(weights, images):
    with SandboxedModel(SPEC, weights) as suspect:
        suspect.load_images("probes", images[:10])
        folder = suspect._folder
        os.kill(pid_of(suspect), signal.SIGKILL)
        with pytest.raises(SuspectError, match="out of memory") as lost:
            suspect.answer("probes", [0])
        assert lost.value.kind == "killed"
    assert not folder.exists()
    with pytest.raises(SuspectError, match="not open"):
        suspect.answer("probes", [0])


def test_a_model_that_never_answers_is_ended(tmp_path):
    path = endless_onnx(tmp_path / "endless.onnx")
    spec = ModelSpec("onnx", mean=(0.0,) * 3, deviation=(1.0,) * 3)
    with SandboxedModel(spec, path, Limits(answer_seconds=2, device="cpu")) as suspect:
        suspect.load_images("probes", np.zeros((4, 16, 16, 3), dtype=np.uint8))
        with pytest.raises(SuspectError, match="did not answer within 2 s") as late:
            suspect.answer("probes", range(4))
        assert late.value.kind == "timeout"
        assert suspect._process is not None
        assert suspect._process.wait(timeout=10) == -signal.SIGKILL


def test_a_model_that_wants_too_much_memory_is_refused(weights, tmp_path):
    config = {
        "embed_dim": 8,
        "vision_cfg": {"image_size": 64, "layers": 4, "width": 1_280_000, "patch_size": 32, "head_width": 64},
        "text_cfg": {"context_length": 8, "vocab_size": 10, "width": 8, "heads": 1, "layers": 1},
    }
    spec = ModelSpec.from_json({"architecture": "open_clip:custom", "config": config})
    with (
        pytest.raises(SuspectError, match="memory") as refused,
        SandboxedModel(spec, weights, Limits(memory_bytes=6 * 2**30, device="cpu")),
    ):
        pass
    assert refused.value.kind == "memory"


def test_a_file_that_the_door_refuses_is_not_opened_by_the_child(tmp_path):
    (tmp_path / "w.pkl").write_bytes(b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.")
    with pytest.raises(SuspectError, match="Python pickle"), SandboxedModel(SPEC, tmp_path / "w.pkl"):
        pass


def test_the_connection_test_sees_noise_and_reports_shapes_and_speed(tmp_path):
    path = save(clip_model().state_dict(), tmp_path / "clip.safetensors")
    spec = clip_spec(returns=("features", "soft", "hard"), class_names=("cat", "dog", "ship"))
    steps = []
    report = check_connection(spec, path, Limits(batch=8, device="cpu"), lambda *step: steps.append(step))
    assert report.input_shape == (3, 32, 32)
    assert (report.feature_size, report.class_count) == (32, 3)
    assert report.levels == ("features", "soft", "hard")
    assert report.images_per_second > 0
    assert report.repeats_exactly
    assert [done for done, _, _ in steps] == list(range(8))
    assert report.to_json()["input_shape"] == [3, 32, 32]


def test_answers_that_are_not_numbers_end_the_request(tmp_path):
    """Finite weights whose answers overflow: only the answers can tell."""
    from audits.suspects.cifar_resnet import CifarResNet

    state = CifarResNet(20).state_dict()
    state["bn1.weight"] = torch.full_like(state["bn1.weight"], 3e38)
    with (
        pytest.raises(SuspectError, match="not numbers") as refused,
        SandboxedModel(SPEC, save(state, tmp_path / "w.safetensors")),
    ):
        pass
    assert refused.value.kind == "numbers"
