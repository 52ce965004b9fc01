"""Neighbours vote for classes, nobody for himself; features that collapsed have no spread."""

import numpy as np
import pytest
import torch

from audits.pilots.checked import TrainingError
from audits.pilots.nearest import Watched, nearest_accuracy, spread
from audits.pilots.training_set import TrainingSet


def test_neighbours_of_one_class_are_right_and_nobody_votes_for_himself():
    labels = torch.arange(600) % 3
    assert nearest_accuracy(torch.eye(3)[labels] + 0.01 * torch.rand(600, 3), labels) == 1
    alone = torch.eye(8)
    assert nearest_accuracy(alone, torch.arange(8)) == 0


def test_features_that_say_nothing_are_right_by_chance():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2000, 16, generator=generator)
    accuracy = nearest_accuracy(features, torch.arange(2000) % 4)
    assert 0.2 < accuracy < 0.3


def test_spread_is_one_in_all_directions_and_none_in_one():
    assert spread(torch.randn(4000, 32, generator=torch.Generator().manual_seed(0))) == pytest.approx(1, abs=0.02)
    assert spread(torch.ones(40, 32)) == pytest.approx(0, abs=1e-5)


def test_some_of_a_training_set_are_spread_over_it():
    data = TrainingSet(np.zeros((100, 8, 8, 3), np.uint8), labels=np.arange(100))
    some = Watched.some_of(data, 5)
    assert some is not None
    assert some.labels.tolist() == [0, 24, 49, 74, 99]
    assert Watched.some_of(TrainingSet(data.images)) is None


def test_one_image_has_no_neighbour():
    with pytest.raises(TrainingError, match="two labelled images"):
        Watched(np.zeros((1, 8, 8, 3), np.uint8), np.zeros(1, np.int64))
