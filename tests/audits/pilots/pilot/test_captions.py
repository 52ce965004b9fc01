"""A pilot by CLIP on images with captions: what its models say of captions is what suspects would say."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from audits.asking.measuring import measure
from audits.asking.view_questions import ViewAnswers, ViewQuestion
from audits.asking.views import ViewSettings, applied, drawn_views
from audits.pilots.described import spec_of
from audits.pilots.objectives import objective_of
from audits.pilots.pilot.advice import recommendation
from audits.pilots.pilot.found import PilotFound
from audits.pilots.pilot.local_model import LocalModel
from audits.pilots.pilot.summary import summaries
from audits.pilots.pilot.working import Work
from audits.pilots.training import save_weights
from audits.pilots.training_set import TrainingSet
from audits.suspects import SandboxedModel
from tests.audits.pilots.pilot import builders
from tests.audits.pilots.pilot.builders import AT_HOME, TINY, blocks_of_four
from tests.audits.pilots.textures import textures

pytestmark = [pytest.mark.suspect, pytest.mark.long]
BY_CLIP = replace(TINY, proposals=(AT_HOME,), methods=("clip",))
LINES = ["features", "features / caption", "features / omnibus", "soft", "hard"]


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Images in classes, which CLIP learns as prompts."""
    return builders.pool(tmp_path_factory.mktemp("version"), BY_CLIP)


@pytest.fixture(scope="module")
def found(bare, tmp_path_factory):
    """The same with captions, but for one image."""
    entries = [replace(one, caption=f"picture {n}" if n else None) for n, one in enumerate(bare.entries)]
    texts = tuple(one.caption or f"a {one.label}" for one in entries)
    pool = replace(bare, entries=tuple(entries), captions=texts)
    settings = replace(BY_CLIP, variations=("task:merged",))
    return settings, Work(settings, pool, blocks_of_four(), tmp_path_factory.mktemp("work")).run()


def test_the_audit_of_a_suspect_has_a_line_by_captions_and_one_by_the_most_telling(found):
    settings, made = found
    suspect = made.lines[-1]
    assert list(suspect.levels) == LINES
    assert all(0 < one.p <= 1 and one.wrong_key is not None for one in suspect.levels.values())
    assert suspect.levels["features / caption"] != suspect.levels["features"]
    assert suspect.levels["features / omnibus"].auc is None
    assert list(suspect.aucs) == ["features", "features / caption", "soft", "hard"]
    assert set(suspect.tasks["merged"]) == {"soft", "hard"}
    assert PilotFound.from_json(json.loads(json.dumps(made.to_json()))) == made
    (summary,) = summaries(settings, made)
    assert list(summary.power) == LINES
    assert any("“features / caption”" in sentence for sentence in recommendation(settings, made, [summary]))


def test_classes_as_prompts_are_no_captions(bare, tmp_path):
    found = Work(BY_CLIP, bare, blocks_of_four(), tmp_path).run()
    assert set(found.lines[-1].levels) == {"features", "soft", "hard"}
    told = recommendation(BY_CLIP, found, summaries(BY_CLIP, found))
    assert not any("caption" in sentence for sentence in told)


def test_a_model_of_a_pilot_says_of_captions_what_it_says_as_a_suspect(tmp_path):
    data = textures(12)
    settings = BY_CLIP.training(BY_CLIP.lines()[0])
    images = data.images.repeat(3, axis=1).repeat(3, axis=2)
    captions = [f"word {n} and more" for n in range(11)] + [None]
    objective = objective_of(settings, TrainingSet(images, tuple(map(str, captions))))
    with torch.no_grad():
        objective.model.token_embedding.weight.mul_(50)  # so that other words are other features
    weights = tmp_path / "model.safetensors"
    save_weights(objective.model, weights)
    views = applied(drawn_views(ViewSettings(count=3), np.random.default_rng(2)), settings.side)
    question = ViewQuestion("same", images, views, captions)
    local = LocalModel(objective, torch.device("cpu"), images, None, settings.side)
    with SandboxedModel(spec_of(settings), weights) as suspect:
        told = {
            name: next(_asked(question, tmp_path / name, model).parts("captions"))
            for name, model in (("pilot", local), ("suspect", suspect))
        }
    assert np.isnan(told["pilot"][11]).all()
    assert told["pilot"][:11].std() > 0.01
    assert np.allclose(told["pilot"], told["suspect"], atol=1e-4, equal_nan=True)


def _asked(question, folder, model):
    measure(question, folder, model, lambda answered: None)
    return ViewAnswers(folder, len(question.images))
