"""Tiny CLIP models learn, repeat themselves exactly, stop when asked, and are asked like any suspect."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from audits.pilots import clip
from audits.pilots.augmentation import shifted
from audits.pilots.checked import TrainingError
from audits.pilots.recipe import DEVIATION, MEAN, PROMPT, TINY_CLIP, TrainingSettings
from audits.pilots.training import Following, batches, train
from audits.pilots.training_set import TrainingSet
from audits.scenes import procedural
from audits.suspects import Limits, ModelSpec, SandboxedModel

pytestmark = pytest.mark.suspect

SETTINGS = TrainingSettings(seed=11, epochs=2, batch_size=16)
SIDE = TINY_CLIP["vision_cfg"]["image_size"]


@pytest.fixture(scope="module")
def pairs():
    scenes = list(procedural.scenes(1, 64, SIDE))
    return TrainingSet(np.stack([scene.pixels for scene in scenes]), tuple(scene.caption for scene in scenes))


@pytest.fixture(scope="module")
def trained(pairs):
    return train(pairs, SETTINGS)


def weights(run):
    return torch.cat([value.flatten() for value in run.model.state_dict().values()])


def test_the_same_seed_trains_the_same_model(pairs, trained):
    assert torch.equal(weights(train(pairs, SETTINGS)), weights(trained))


def test_another_seed_starts_elsewhere_and_sees_the_images_in_another_order(pairs):
    first, second = (clip.build(TINY_CLIP, seed).state_dict()["text_projection"] for seed in (1, 2))
    assert not torch.equal(first, second)
    orders = [torch.cat(list(batches(64, replace(SETTINGS, seed=seed), 0))) for seed in (1, 2)]
    assert not torch.equal(*orders)


def test_training_lowers_the_loss(pairs):
    run = train(pairs, replace(SETTINGS, epochs=6))
    assert len(run.losses) == 6
    assert run.losses[-1] < run.losses[0]


def test_training_in_bfloat16_gives_finite_weights(pairs):
    assert torch.isfinite(weights(train(pairs, replace(SETTINGS, epochs=1, bfloat16=True)))).all()


def test_global_random_state_and_threads_are_left_alone(pairs):
    torch.manual_seed(3)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    train(pairs, replace(SETTINGS, epochs=1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads


def test_progress_reaches_the_last_step(pairs):
    told = []
    train(pairs, SETTINGS, Following(told.append))
    assert (told[-1].step, told[-1].steps, told[-1].epoch) == (8, 8, 2)


def test_whatever_progress_raises_ends_a_run(pairs):
    def cancelled(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(pairs, replace(SETTINGS, epochs=50), Following(cancelled))


def test_too_few_pairs_are_refused(pairs):
    with pytest.raises(TrainingError, match="do not fill one batch"):
        train(pairs, replace(SETTINGS, batch_size=128))


def test_images_of_another_size_are_refused(pairs):
    with pytest.raises(TrainingError, match="the network expects"):
        train(TrainingSet(pairs.images[:, :32, :32], pairs.captions), SETTINGS)


def test_shifts_repeat_the_edge_and_stay_within_reach():
    image = torch.arange(8 * 8, dtype=torch.uint8).reshape(1, 8, 8, 1).repeat(50, 1, 1, 3)
    moved = shifted(image, 2, torch.Generator().manual_seed(0))
    offsets = {(int(m[4, 4, 0]) - 36) for m in moved}
    assert offsets <= {8 * dy + dx for dy in range(-2, 3) for dx in range(-2, 3)}
    assert len(offsets) > 10


def test_a_saved_model_answers_in_the_sandbox_as_it_does_here(pairs, trained, tmp_path):
    path = trained.save(tmp_path)
    config = json.loads((tmp_path / "open_clip_config.json").read_text())["model_cfg"]
    spec = ModelSpec.from_json(
        {"architecture": "open_clip:custom", "config": config, "returns": ["features", "soft", "hard"]}
        | {"mean": list(MEAN), "deviation": list(DEVIATION)}
        | {"class_names": list(procedural.CLASSES), "templates": [PROMPT]}
    )
    images = pairs.images[:8]
    with SandboxedModel(spec, path, Limits(threads=1)) as suspect:
        suspect.load_images("probes", images)
        there = suspect.answer("probes", np.arange(8))
    here = clip.answers(trained.model, torch.from_numpy(images).permute(0, 3, 1, 2), procedural.CLASSES, PROMPT)
    cosines = (there.features / np.linalg.norm(there.features, axis=1, keepdims=True) * here.features).sum(axis=1)
    assert np.allclose(cosines, 1, atol=1e-4)
    assert np.allclose(there.soft, here.soft, atol=1e-3)
