"""What attacks make of models and of their answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from audits.robustness.attacks.answers import NoisyFeatures, OnlyFamiliar, Rounded, Smoothed
from audits.robustness.attacks.models import Distilled, FineTuned, LinearProbe, Pruned, Quantised
from audits.robustness.suspects import Suspect
from tests.audits.builders_robustness import evader, noise_images, plain_copy
from tests.audits.pilots.textures import textures

pytestmark = pytest.mark.suspect


@pytest.fixture
def somebody(tmp_path):
    return evader(tmp_path, plain_copy(textures(40).images))


def pixels(count: int = 12) -> torch.Tensor:
    return torch.from_numpy(textures(count, seed=9).images).permute(0, 3, 1, 2).float()


def weights(model: Suspect) -> torch.Tensor:
    return torch.cat([one.detach().flatten() for one in model.seeing.parameters() if one.ndim >= 2])


def test_a_probe_finds_classes_that_features_tell_apart(somebody):
    assert somebody.model.accuracy() > 0.7  # an untrained network already tells stripes from checks; chance is 0.25
    assert torch.allclose(somebody.model.said(pixels()).soft.sum(dim=1), torch.ones(12))


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_so_many_weights_are_pruned_and_the_first_model_stays(somebody, share):
    before = weights(somebody.model).clone()
    pruned = weights(Pruned(share=share).offered(somebody))
    assert abs(float((pruned == 0).float().mean()) - share) < 0.01
    assert float(pruned.abs()[pruned != 0].min()) >= float(before.abs().sort().values[int(share * len(before)) - 1])
    assert torch.equal(weights(somebody.model), before)


def test_eight_bits_leave_every_channel_255_values_close_to_before(somebody):
    quantised = Quantised().offered(somebody)
    for before, after in zip(somebody.model.seeing.parameters(), quantised.seeing.parameters(), strict=True):
        if after.ndim >= 2:
            for own, new in zip(before.detach().flatten(1), after.detach().flatten(1), strict=True):
                assert len(new.unique()) <= 255
                assert float((own - new).abs().max()) <= float(own.abs().max()) / 254 + 1e-6


def test_fine_tuning_changes_the_weights_and_distilling_the_network(somebody):
    tuned = FineTuned(epochs=1.0).offered(somebody)
    assert tuned.seeing.name == somebody.model.seeing.name
    assert not torch.equal(weights(tuned), weights(somebody.model))
    student = Distilled(encoder_width=16).offered(somebody)
    assert student.seeing.name == "small_resnet:16"
    assert student.said(pixels()).soft.shape == (12, 4)


def test_a_distilled_model_says_more_and_more_what_its_teacher_says(somebody):
    """Features are compared by which images are alike, for a student has its own directions."""

    def likeness(model: Suspect) -> torch.Tensor:
        features = model.features(textures(24, seed=7).images)
        unit = torch.nn.functional.normalize(features - features.mean(dim=0), dim=1)
        return (unit @ unit.T).flatten()

    def agreement(epochs: int) -> float:
        student = Distilled(epochs=1.0).offered(replace(somebody, recipe=replace(somebody.recipe, epochs=epochs)))
        return float(torch.corrcoef(torch.stack([likeness(student), likeness(somebody.model)]))[0, 1])

    assert agreement(100) > max(0.6, agreement(1))


def test_a_linear_probe_alone_says_no_features(somebody):
    said = LinearProbe().offered(somebody).said(pixels())
    assert said.features is None
    assert said.soft.shape == (12, 4)


def test_noise_is_drawn_anew_and_reaches_the_labels_of_a_probe(somebody):
    noisy = NoisyFeatures(deviation=1.0).offered(somebody)
    one, other = noisy.said(pixels()), noisy.said(pixels())
    assert not torch.equal(one.features, other.features)
    assert not torch.equal(one.soft, other.soft)
    clean = somebody.model.features(somebody.clean.images)
    added = torch.cat([noisy.said(pixels()).features - somebody.model.said(pixels()).features for _ in range(50)])
    alive = clean.std(dim=0) > 1e-3
    assert 0.8 < float((added.std(dim=0) / clean.std(dim=0))[alive].mean()) < 1.2


def test_smoothed_and_rounded_answers_are_still_probabilities(somebody):
    plain = somebody.model.said(pixels()).soft
    smooth = Smoothed(share=0.4).offered(somebody).said(pixels()).soft
    assert torch.allclose(smooth, 0.6 * plain + 0.1)
    coarse = Rounded(decimals=1).offered(somebody).said(pixels()).soft
    assert float(coarse.sum(dim=1).max()) <= 1 + 1e-6
    assert torch.allclose(coarse * 10, (coarse * 10).round(), atol=1e-5)
    assert float((plain - coarse).abs().max()) <= 0.1 + 1e-3


def test_what_is_not_like_the_copy_gets_no_answer(somebody):
    familiar = OnlyFamiliar(refused=0.05).offered(somebody)
    strange = torch.from_numpy(noise_images(6)).permute(0, 3, 1, 2).float()
    refused = familiar.said(strange).features.isnan().all(dim=1)
    assert int(refused.sum()) >= 4
    assert torch.equal(familiar.said(strange).soft.isnan().all(dim=1), refused)
    own = torch.from_numpy(somebody.copy.data.images).permute(0, 3, 1, 2).float()
    assert float(familiar.said(own).features.isnan().float().mean()) < 0.1


def test_what_was_saved_is_read_again_and_says_the_same(somebody, tmp_path):
    model = somebody.model
    model.save(tmp_path / "kept" / "model.safetensors")
    again = Suspect.read(tmp_path / "kept" / "model.safetensors", model.recipe, model.task, model.device)
    assert torch.equal(again.said(pixels()).features, model.said(pixels()).features)
    assert torch.allclose(again.said(pixels()).soft, model.said(pixels()).soft)


def test_answers_that_never_came_are_no_right_ones(somebody):
    silent = somebody.model.answering(lambda said: said._replace(soft=said.soft * torch.nan))
    assert silent.accuracy() == 0
    assert replace(somebody.model, task=None).accuracy() is None
    assert np.isfinite(somebody.model.accuracy())
