"""Attacks by name, and the settings of a table."""

import subprocess
import sys
from dataclasses import replace

import pytest

from audits.pilots.checked import TrainingError
from audits.robustness.attacks.catalogue import CATALOGUE, attack_of, named
from audits.robustness.attacks.pixels import Jpeg
from audits.robustness.copies import RobustnessError
from audits.robustness.settings import RobustnessSettings
from provenance.marks import PRESETS
from tests.audits.builders_robustness import NAMES, RECIPE, quick


@pytest.mark.parametrize("attack", CATALOGUE.values(), ids=CATALOGUE)
def test_an_attack_is_read_as_it_was_written(attack):
    assert attack_of(attack.to_json()) == attack


def test_every_line_of_a_table_has_a_title_of_its_own():
    assert len({attack.title for attack in CATALOGUE.values()}) == len(CATALOGUE)
    assert {attack.stage for attack in CATALOGUE.values()} == {"copy", "training", "model"}


def test_what_is_no_attack_is_refused_with_those_that_are():
    with pytest.raises(RobustnessError, match=r"“prayer”.*jpeg-75"):
        named(("jpeg-75", "prayer"))
    with pytest.raises(RobustnessError, match="no attack"):
        attack_of({"name": "prayer"})
    with pytest.raises(TrainingError, match="quality"):
        attack_of({"name": "jpeg", "quality": 0})


def test_settings_are_read_as_they_were_written():
    for mark in (quick().mark, PRESETS["strong"].settings(NAMES)):
        settings = quick("jpeg-50", "prune-70", mark=mark, seed=9)
        assert RobustnessSettings.from_json(settings.to_json()) == settings


def test_marks_that_no_model_sees_and_no_attack_are_refused():
    fine = PRESETS["strong"].settings((), family="spectral", association="plain")
    with pytest.raises(RobustnessError, match="need 12 pixels and the models see 8; raise the side"):
        quick(mark=fine, decoys=999, recipe=replace(RECIPE, side=8))
    with pytest.raises(RobustnessError, match="one attack or more"):
        quick(attacks=())
    with pytest.raises(RobustnessError, match="each once"):
        quick(attacks=(Jpeg(), Jpeg()))


def test_attacks_on_copies_cost_a_training_each_and_those_on_models_none():
    settings = quick("jpeg-75", "strong-views", "int8", "round", trials=3, references=2)
    assert settings.trainings == 2 + 3 * (1 + 2)
    assert settings.rows == 3 * 5


def test_attacks_that_a_recipe_cannot_have_say_why():
    refused = quick("recaption", "round", "jpeg-75", "randaugment").refusals(labelled=False)
    assert set(refused) == {
        "50 % of the words replaced",
        "answers rounded to 1 decimal",
        "RandAugment, 2 operations of magnitude 9",
    }
    assert RECIPE.epochs < 4


def test_attacks_are_listed_without_loading_torch():
    code = "import sys, audits.robustness.attacks.catalogue, audits.robustness.table; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
