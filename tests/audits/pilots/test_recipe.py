"""Settings of a training run are checked where they enter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.pilots.recipe import TrainingError, TrainingSettings, steps_of


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


@pytest.mark.parametrize("value", [{}, {"epochs": 3}, {"seed": 1, "optimiser": "sgd"}])
def test_settings_need_a_seed_and_know_no_others(value):
    with pytest.raises(TrainingError, match="has a seed"):
        TrainingSettings.from_json(value)


@given(epochs=st.integers(1, 20), batch=st.integers(2, 64), images=st.integers(0, 500))
def test_steps_are_whole_batches(epochs, batch, images):
    steps = steps_of(TrainingSettings(seed=0, epochs=epochs, batch_size=batch), images)
    assert steps * batch <= epochs * images < (steps + epochs) * batch + epochs
