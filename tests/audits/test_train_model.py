"""train_model from a script: one JSON object, meaningful exit codes."""

import json

import pytest
from django.core.management import call_command

from audits.models import RegisteredModel, Training
from audits.pilots.precision import bfloat16_is_fast
from tests.audits.builders_trainings import scenes_version

pytestmark = [pytest.mark.suspect, pytest.mark.django_db(transaction=True)]
QUICK = ["--epochs", "1", "--batch-size", "16", "--as", "adam", "--json"]
SMALL = ["--encoder", "small_resnet:8:1-1", "--side", "24"]


@pytest.fixture
def version(world):
    return scenes_version(world)


def told(capsys, *arguments: object):
    call_command("train_model", *map(str, arguments), *QUICK)
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def refused(capsys, *arguments: object):
    with pytest.raises(SystemExit) as end:
        call_command("train_model", *map(str, arguments), *QUICK)
    assert end.value.code == 1
    return json.loads(capsys.readouterr().out.splitlines()[-1])["error"]


def test_a_method_with_options_of_its_own_trains_and_registers(version, capsys, no_worker):
    options = ["--method", "moco", "--method-options", '{"queue": 32, "momentum": 0.9}', *SMALL]
    answer = told(capsys, version.pk, "--name", "Pictures", "--becomes", "reference", *options, "--here")
    assert answer["state"] == "done"
    recipe = answer["settings"]["recipe"]
    assert (recipe["method"]["name"], recipe["method"]["queue"]) == ("moco", 32)
    assert [point["epoch"] for point in answer["curve"]] == [1]
    model = RegisteredModel.objects.get(pk=answer["model"])
    assert (model.role, model.spec["architecture"]) == ("reference", "small_resnet:8:1-1")


def test_clip_keeps_its_own_network_and_size(version, capsys, no_worker):
    answer = told(capsys, version.pk, "--name", "Pairs", "--method", "clip")
    assert answer["state"] == "queued"
    recipe = answer["settings"]["recipe"]
    assert (recipe["encoder"], recipe["side"]) == ("open_clip:custom", 48)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--encoder", "resnet"], "Name the encoder"),
        (["--method-options", "queue=3"], "JSON object"),
        (["--method-options", '{"queue": 3}'], "no settings but those"),
        (["--method", "clip", "--encoder", "small_resnet:16"], "own tiny network"),
        (["--side", "4"], "side"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_queued(version, capsys, no_worker, options, word):
    assert word in refused(capsys, version.pk, "--name", "Wrong", *options)
    assert not Training.objects.exists()


def test_bfloat16_is_warned_of_where_it_would_be_emulated(version, capsys, no_worker):
    call_command("train_model", str(version.pk), "--name", "Half", "--method", "clip", "--bfloat16", *QUICK)
    said = capsys.readouterr()
    assert json.loads(said.out.splitlines()[-1])["settings"]["recipe"]["bfloat16"] is True
    assert ("leave out --bfloat16" in said.err) is not bfloat16_is_fast()
