"""Encoders by name, and weights that suspects read under the same name."""

import numpy as np
import pytest
import torch

from audits.pilots.checked import TrainingError
from audits.pilots.encoders import build_encoder
from audits.pilots.methods import SimClr, Supervised
from audits.pilots.recipe import DEVIATION, MEAN, TrainingSettings
from audits.pilots.training import train
from audits.suspects import Limits, ModelSpec, SandboxedModel
from tests.audits.pilots.textures import textures

pytestmark = pytest.mark.suspect


@pytest.mark.parametrize(
    ("name", "side", "size"),
    [
        ("small_resnet:8", 16, 64),
        ("small_resnet:8:1-1", 16, 16),
        ("cifar_resnet:20", 32, 64),
        ("timm:test_resnet", 32, None),
        ("timm:test_vit", 32, None),
    ],
)
@pytest.mark.parametrize("classes", [None, 7])
def test_encoders_answer_with_features_and_with_labels_where_they_have_a_head(name, side, size, classes):
    encoder = build_encoder(name, side, classes).eval()
    features, logits = encoder(torch.zeros(2, 3, side, side))
    assert features.shape == (2, encoder.size)
    assert size in (None, encoder.size)
    assert (logits is None) if classes is None else logits.shape == (2, 7)


@pytest.mark.parametrize("name", ["timm:no_such_network", "small_resnet:0", "small_resnet:7", "other:1"])
def test_unknown_encoders_are_refused(name):
    with pytest.raises(TrainingError):
        build_encoder(name, 32, None)


def test_a_head_of_other_classes_starts_afresh_and_the_rest_is_taken(tmp_path):
    data = textures(32)
    settings = TrainingSettings(
        seed=1, epochs=1, batch_size=8, encoder="small_resnet:8:1-1", side=16, method=Supervised()
    )
    weights = train(data, settings).save(tmp_path)
    other = build_encoder("small_resnet:8:1-1", 16, 9)
    head = other.network.head.weight.clone()
    other.start_from(weights)
    assert torch.equal(head, other.network.head.weight)
    same = build_encoder("small_resnet:8:1-1", 16, 4)
    head = same.network.head.weight.clone()
    same.start_from(weights)
    assert not torch.equal(head, same.network.head.weight)
    assert torch.equal(other.network.stem[0].weight, same.network.stem[0].weight)
    without = build_encoder("small_resnet:8:1-1", 16, None)
    without.start_from(weights)
    assert torch.equal(without.network.stem[0].weight, same.network.stem[0].weight)


@pytest.mark.parametrize("encoder", ["small_resnet:8:1-1", "timm:test_resnet"])
def test_a_saved_encoder_answers_in_the_sandbox_as_it_does_here(tmp_path, encoder):
    data = textures(32)
    settings = TrainingSettings(seed=1, epochs=1, batch_size=8, encoder=encoder, side=16, method=SimClr())
    run = train(data, settings)
    spec = ModelSpec(encoder, input_size=16, mean=MEAN, deviation=DEVIATION)
    with SandboxedModel(spec, run.save(tmp_path), Limits(threads=1)) as suspect:
        suspect.load_images("probes", data.images[:8])
        there = suspect.answer("probes", np.arange(8)).features
    built = build_encoder(encoder, 16, None)
    built.network.load_state_dict(run.model.state_dict())
    with torch.inference_mode():
        levels = torch.from_numpy(data.images[:8]).permute(0, 3, 1, 2).float()
        here = built.eval()((levels / 255 - 0.5) / 0.25)[0].numpy()
    assert np.allclose(there, here, atol=1e-3, rtol=1e-3)
