"""Settings of a training run are checked where they enter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.pilots.checked import TrainingError
from audits.pilots.methods import METHODS, Byol, Moco, SimClr
from audits.pilots.recipe import Augmentation, TrainingSettings, steps_of


def test_settings_survive_json():
    settings = TrainingSettings(seed=5, epochs=3, bfloat16=True, learning_rate=2e-3)
    assert TrainingSettings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": -1},
        {"seed": True},
        {"epochs": 0},
        {"batch_size": 1},
        {"batch_size": 2.5},
        {"learning_rate": float("nan")},
        {"threads": 0},
        {"weight_decay": -1},
        {"bfloat16": 1},
    ],
)
def test_settings_out_of_range_are_refused(changes):
    with pytest.raises(TrainingError):
        TrainingSettings(**{"seed": 1, **changes})


@pytest.mark.parametrize("method", METHODS.values())
def test_settings_of_every_method_survive_json(method):
    encoder = {} if method.name == "clip" else {"encoder": "small_resnet:16", "side": 32}
    settings = TrainingSettings(seed=5, method=method(), augmentation=Augmentation(grey=0.5), **encoder)
    assert TrainingSettings.from_json(settings.to_json()) == settings


def test_settings_from_before_there_were_methods_are_those_of_clip():
    stored = {"seed": 7, "epochs": 12, "batch_size": 64, "learning_rate": 0.001, "weight_decay": 0.05, "shift": 4}
    read = TrainingSettings.from_json({**stored, "threads": 1, "bfloat16": True})
    assert (read.method.name, read.encoder, read.side, read.epochs) == ("clip", "open_clip:custom", 48, 12)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"method": SimClr()}, "Name the encoder"),
        ({"method": SimClr(), "encoder": "resnet"}, "Name the encoder"),
        ({"encoder": "small_resnet:16"}, "own tiny network"),
        ({"side": 32}, "own tiny network"),
        ({"method": Moco(queue=64), "encoder": "small_resnet:16"}, "queue"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(changes, word):
    with pytest.raises(TrainingError, match=word):
        TrainingSettings(**{"seed": 1, **changes})


def test_options_of_a_method_are_checked_like_all_others():
    with pytest.raises(TrainingError, match="momentum"):
        Byol(momentum=1.5)
    with pytest.raises(TrainingError, match="smallest crop"):
        Augmentation(smallest_crop=0.8, largest_crop=0.4)
    stored = TrainingSettings(seed=1).to_json()
    for method in ({"name": "barlow"}, {}, {"name": "byol", "queue": 3}):
        with pytest.raises(TrainingError):
            TrainingSettings.from_json({**stored, "method": method})


@pytest.mark.parametrize("value", [{}, {"epochs": 3}, {"seed": 1, "optimiser": "sgd"}])
def test_settings_need_a_seed_and_know_no_others(value):
    with pytest.raises(TrainingError, match="has a seed"):
        TrainingSettings.from_json(value)


@given(epochs=st.integers(1, 20), batch=st.integers(2, 64), images=st.integers(0, 500))
def test_steps_are_whole_batches(epochs, batch, images):
    steps = steps_of(TrainingSettings(seed=0, epochs=epochs, batch_size=batch), images)
    assert steps * batch <= epochs * images < (steps + epochs) * batch + epochs
