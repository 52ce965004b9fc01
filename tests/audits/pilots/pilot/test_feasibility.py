"""What is said of the four failures: no more than the audits at the same level show."""

from dataclasses import replace

import pytest

from audits.pilots.pilot.feasibility import feasibility, says
from audits.pilots.pilot.found import LevelFound, LineFound, PilotFound
from tests.audits.pilots.pilot.builders import AT_HOME, TINY

SETTINGS = replace(TINY, proposals=(AT_HOME,), runs=3, variations=("side:8", "encoder:small_resnet:16", "task:merged"))
STRONG, NOTHING = (4.0, 4.1, 4.2), (-0.1, 0.0, 0.1)


def told(settings=SETTINGS, tasks=None, **deviations):
    """deviations: z of the three keys at features, by the beginning of what differs; "planned" for what does not."""
    lines = []
    for line in settings.lines():
        values = deviations.get(line.variation.partition(":")[0] or "planned")
        if line.is_twin or values is None:
            continue
        levels = {"features": level(values[line.number]), "soft": level(NOTHING[line.number])}
        others = {"merged": {"soft": level(tasks[line.number])}} if tasks and not line.variation else {}
        lines.append(LineFound(line, 1.0, 32, (), levels=levels, tasks=others))
    found = PilotFound(tuple(lines), (), 32, 32, 8, "CPU")
    (sentence,) = says(feasibility(settings, found))
    return sentence


def level(z):
    return LevelFound(0.5, 0.5, z, 1e-9)


def test_what_was_tried_is_named_and_what_was_not_trained_in_time_is_not():
    sentence = told(planned=STRONG, side=STRONG)
    assert sentence.endswith("deviate from chance (features); so do those of images of 8 pixels.")
    assert "small_resnet" not in sentence
    assert "none was audited there" in told(planned=STRONG)


def test_what_does_not_hold_is_named():
    assert "not so, as far as these audits show: images of 8 pixels." in told(planned=STRONG, side=NOTHING)


def test_other_labels_are_not_blamed_for_levels_at_which_nothing_was_seen_as_planned():
    assert "classes merged" not in told(planned=STRONG, side=STRONG, tasks=NOTHING)


def test_a_find_at_another_level_does_not_stand_for_the_planned_one():
    settings = replace(SETTINGS, variations=("task:merged",))
    assert "none was audited there" in told(settings, planned=STRONG, tasks=STRONG)


@pytest.mark.parametrize("values", [NOTHING, (-4.0, -4.1, -4.2)])
def test_chance_is_called_chance(values):
    assert "do not deviate from chance" in told(planned=values, side=STRONG)


def test_one_audit_says_nothing_about_how_far():
    assert "one audit cannot tell" in told(replace(SETTINGS, runs=1), planned=STRONG, side=STRONG)


def test_variations_without_what_was_planned_are_not_taken_for_it():
    assert "no model that learnt as planned was audited" in told(side=STRONG)
