"""What a pilot may try, and that nothing is asked twice with the same seed."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.pilots.checked import TrainingError
from audits.pilots.pilot.settings import Line, PilotError, PilotSettings, Proposal
from audits.pilots.pilot.variations import Variation
from provenance.marks import PRESETS, WithheldSettings
from tests.audits.pilots.pilot.builders import AT_HOME, CLASSES, PLAIN, STRUCK, TINY

WAVES = Proposal("fine waves", PRESETS["strong"].settings(CLASSES, family="blend", periods=16))


def test_settings_come_back_from_json():
    settings = replace(TINY, methods=("simclr", "moco"))
    assert PilotSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_no_two_trainings_share_a_seed():
    settings = replace(TINY, methods=("simclr", "byol"), runs=5, references=4)
    lines = settings.lines()
    seeds = [settings.training(line).seed for line in lines]
    assert len(lines) == 2 * (4 + 5 * 2)
    assert len(set(seeds)) == len(seeds)
    assert len({settings.drawn(f"key of {line.name}") for line in lines}) == len(lines)


def test_a_pilot_with_another_seed_shares_none_either():
    one, other = TINY, replace(TINY, seed=2)
    seeds = [{pilot.training(line).seed for line in pilot.lines()} for pilot in (one, other)]
    assert not seeds[0] & seeds[1]


def test_twins_come_first_and_everything_is_tried_once_before_anything_twice():
    lines = replace(TINY, runs=2).lines()
    assert [line.is_twin for line in lines] == [True, False, False, False, False]
    assert [(line.proposal, line.number) for line in lines[1:]] == [(0, 0), (1, 0), (0, 1), (1, 1)]


def test_models_are_asked_at_quarters_of_the_training_unless_all_marks_are_plain():
    assert replace(TINY, epochs=100).looks == (25, 50, 75, 100)
    assert replace(TINY, epochs=2).looks == (1, 2)
    assert replace(TINY, epochs=4, proposals=(STRUCK,)).looks == (1, 2, 3, 4)
    assert replace(TINY, epochs=4, proposals=(PLAIN,)).looks == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"proposals": ()}, "1 to 8"),
        ({"proposals": (STRUCK, STRUCK)}, "same name"),
        ({"methods": ("simclr", "simclr")}, "each named once"),
        ({"methods": ("magic",)}, "no method magic"),
        ({"device": "abacus"}, "device"),
        ({"encoder": "no such network"}, "encoder"),
        ({"side": 8, "proposals": (WAVES,)}, "pixels"),
        ({"minutes": 0}, "minutes"),
        ({"variations": ("magic:1",)}, "no variation"),
        ({"variations": ("mixed:0.95",), "others": "x"}, "no variation"),
        ({"variations": ("mixed:0.5",)}, "Name the version"),
        ({"variations": ("method:simclr",)}, "Another method"),
        ({"variations": ("encoder:no such",)}, "encoder"),
        ({"variations": tuple(f"side:{side}" for side in range(16, 30))}, "up to 12"),
        ({"variations": ("side:24",), "methods": ("clip",)}, "own network"),
        ({"variations": ("mixed:0.5",), "others": "x", "methods": ("supervised",)}, "other classes"),
        ({"proposals": (AT_HOME, Proposal("more", WithheldSettings("1" * 64, 4, 0.2)))}, "second pilot"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_the_reason(change, says):
    with pytest.raises(TrainingError, match=says):
        replace(TINY, **change)


@pytest.mark.parametrize(
    "value", [{"title": "x"}, {"title": "x", "settings": {"kind": "magic"}}, {"title": "", "settings": {}}]
)
def test_what_is_no_proposal_is_refused(value):
    with pytest.raises(PilotError):
        Proposal.from_json(value)


def test_clip_sees_its_own_size():
    assert replace(TINY, methods=("clip", "simclr")).pixels == 48
    assert replace(TINY, methods=("clip", "simclr")).training(Line("simclr", None, 0)).side == 48
    assert STRUCK.settings.groups == CLASSES


def test_variations_have_trainings_and_seeds_of_their_own_but_for_labels():
    varied = replace(TINY, variations=("side:24", "encoder:small_resnet:12:1-1", "task:merged"))
    lines = varied.lines()
    assert [line.name for line in lines[-2:]] == [
        "simclr-proposal-1-1-encoder-small-resnet-12-1-1",
        "simclr-proposal-2-1-encoder-small-resnet-12-1-1",
    ]
    assert len(lines) == 3 + 2 * 2
    assert len({varied.training(line).seed for line in lines}) == len(lines)
    assert [varied.training(line).side for line in lines[3:5]] == [24, 24]
    assert varied.training(lines[-1]).encoder == "small_resnet:12:1-1"
    assert varied.tasks == ("merged",)
    assert PilotSettings.from_json(json.loads(json.dumps(varied.to_json()))) == varied


@given(st.floats(0.1, 0.9), st.integers(1, 10_000))
def test_as_many_others_are_mixed_in_as_make_the_part(part, published):
    others = Variation.read(f"mixed:{part}").others(published)
    assert abs(others - part * (others + published)) <= 0.5 + 1e-6 * (others + published)


@given(st.text().filter(lambda text: ":" not in text) | st.text().map("mixed:x{}".format))
def test_what_is_no_variation_is_refused(text):
    with pytest.raises(TrainingError, match="no variation"):
        Variation.read(text)
