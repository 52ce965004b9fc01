"""The network's input as the child makes it: batches and pieces change no bit, precision and layout little."""

import numpy as np
import pytest
import torch

from audits.suspects import ModelSpec, inputs
from audits.suspects.architectures import build
from audits.suspects.inputs import Inputs, Mark, received
from audits.suspects.protocol import Frame
from provenance.keying import philox
from provenance.marks import MarkSettings, families, family_for
from tests.audits.suspects.models import cifar_weights

CPU = torch.device("cpu")
GROUPS = ("ant", "bee", "cow", "dog")
COUNT = 37
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
PLACES = np.random.default_rng(1).random((COUNT, 2))


def encoder_of(folder, **changes):
    return build(ModelSpec("cifar_resnet:20", ("features", "soft"), **changes), cifar_weights(folder), CPU)


def mark_of(name: str, patterns: int = 1) -> Mark:
    settings = MarkSettings(groups=GROUPS, family=name)
    drawn = family_for(settings).patterns(philox(bytes(32), bytes(32), "p"), 4)[np.arange(patterns) % 4]
    return Mark(Frame({"settings": settings.to_json()}, {"patterns": drawn, "placements": PLACES}), CPU)


def filled(encoder, batch: int, mark: Mark | None, order: np.ndarray) -> torch.Tensor:
    held, made = received(IMAGES, encoder), Inputs(encoder, batch)
    starts = range(0, len(order), batch)
    return torch.cat([made.fill(held, torch.from_numpy(order), start, mark).clone() for start in starts])


@pytest.mark.parametrize("name", [None, *families()])
@pytest.mark.parametrize("patterns", [1, COUNT])
def test_batches_and_pieces_change_no_bit(name, patterns, tmp_path, monkeypatch):
    encoder, order = encoder_of(tmp_path), np.random.default_rng(2).permutation(COUNT)
    mark = mark_of(name, patterns) if name else None
    pixels = torch.from_numpy(IMAGES[order]).permute(0, 3, 1, 2).float()
    expected = encoder.normalise(mark(pixels, slice(0, COUNT)) if mark else pixels)
    assert torch.equal(filled(encoder, 64, mark, order), expected)
    monkeypatch.setattr(inputs, "_AT_ONCE", 5 * 3 * 32 * 32)
    assert torch.equal(filled(encoder, 16, mark, order), expected)


@pytest.mark.parametrize(("changes", "tolerance"), [({"channels_last": True}, 1e-4), ({"precision": "bfloat16"}, 0.05)])
def test_layout_and_half_precision_change_answers_little(changes, tolerance, tmp_path):
    """A spec may ask for both; what a test finds stays valid, for no rounding knows the key."""
    answers = []
    for spec in ({}, changes, {**changes, "channels_last": True}):
        encoder = encoder_of(tmp_path, **spec)
        with torch.inference_mode():
            answers.append(encoder.network(filled(encoder, 16, mark_of("blend"), np.arange(COUNT))))
    (features, soft), *others = answers
    for other, labels in others:
        assert other.dtype == labels.dtype == torch.float32
        assert float((other - features).norm() / features.norm()) < tolerance
        assert float((labels - soft).abs().max()) < tolerance


@pytest.mark.parametrize("name", families())
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_marks_as_the_processor_does(name, tmp_path):
    settings = MarkSettings(groups=GROUPS, family=name)
    pattern = torch.from_numpy(family_for(settings).patterns(philox(bytes(32), bytes(32), "p"), 1))
    pixels = torch.from_numpy(IMAGES).permute(0, 3, 1, 2).float()
    marked = family_for(settings).apply(pixels, pattern, torch.from_numpy(PLACES))
    there = family_for(settings).apply(pixels.cuda(), pattern.cuda(), torch.from_numpy(PLACES))
    assert there.is_cuda
    assert float((there.cpu() - marked).abs().max()) <= 255 * 1e-4
