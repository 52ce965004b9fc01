"""draw_key and make_release from a script: one JSON object, meaningful exit codes."""

import json
from typing import Any

import pytest
from django.core.management import call_command

from provenance.models import Release, WatermarkKey
from tests.provenance.builders_releases import marked_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(world):
    return marked_version(world)


def told(capsys, *arguments: object) -> dict[str, Any]:
    call_command(*map(str, arguments), "--json")
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def refused(capsys, *arguments: object) -> str:
    with pytest.raises(SystemExit) as end:
        call_command(*map(str, arguments), "--json")
    assert end.value.code == 1
    return json.loads(capsys.readouterr().out.splitlines()[-1])["error"]


def test_draw_then_release_with_that_key(world, version, capsys):
    drawn = told(capsys, "draw_key", version.pk, "--as", "rosa")
    assert drawn["state"] == "drawn"
    answer = told(
        capsys, "make_release", version.pk, "--as", "rosa", "--recipient", "North", "--key", drawn["key"], "--here"
    )
    (made,) = answer["releases"]
    assert made["state"] == "ready"
    assert made["key"] == drawn["key"]
    release = Release.objects.get(pk=made["release"])
    assert made["root"] == release.root
    assert made["commitment"] == release.key.commitment


def test_several_recipients_and_settings(version, capsys):
    answer = told(
        capsys,
        *("make_release", version.pk, "--as", "rosa", "--recipient", "North", "--recipient", "South"),
        *("--group-by", "word", "--group", "ant", "--group", "bee", "--group", "cow", "--group", "dog"),
        *("--share", "0.25", "--opacity", "0.9", "--here"),
    )
    assert [made["recipient"] for made in answer["releases"]] == ["North", "South"]
    assert {made["marked"] for made in answer["releases"]} == {12}
    assert WatermarkKey.objects.filter(settings__opacity=0.9, settings__group_by="word").count() == 2


def test_it_answers_at_once_without_here(version, capsys):
    (made,) = told(capsys, "make_release", version.pk, "--as", "rosa", "--recipient", "North")["releases"]
    assert made["state"] == "embedding"
    assert made["job"]


def test_refusals_are_sentences(world, version, capsys):
    make = ("make_release", version.pk, "--recipient", "North", "--as")
    assert "rights-holder" in refused(capsys, *make, "adam")
    assert "No such version" in refused(capsys, *make, "otto")
    assert "at least 4 groups" in refused(capsys, *make, "rosa", "--group", "ant")
    assert "Name the words" in refused(capsys, *make, "rosa", "--group-by", "word")
    assert "no active person" in refused(capsys, "draw_key", version.pk, "--as", "nobody")
    assert not WatermarkKey.objects.exists()


def test_a_failed_job_ends_with_its_reason(version, capsys):
    for path in version.files_folder.rglob("*.jpg"):
        path.unlink()
    sentence = refused(capsys, "make_release", version.pk, "--as", "rosa", "--recipient", "North", "--here")
    assert "changed or gone" in sentence


def test_plain_marks_of_another_family(version, capsys):
    (made,) = told(
        capsys,
        *("make_release", version.pk, "--as", "rosa", "--recipient", "North", "--association", "plain"),
        *("--family", "spectral", "--amplitude", "20", "--periods", "3", "--share", "0.25", "--here"),
    )["releases"]
    assert (made["state"], made["marked"]) == ("ready", 12)
    settings = WatermarkKey.objects.get().settings
    assert (settings["family"], settings["association"], settings["groups"]) == ("spectral", "plain", [])
    assert "opacity" not in settings


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (("--alpha", "0.01"), "above the alpha of 0.01. Choose at least 5 groups"),
        (("--family", "blend", "--opacity", "0.6"), "The family 'blend' has no opacity"),
        (("--association", "plain", "--group", "ant"), "Plain marks have no groups"),
        (("--family", "blend", "--periods", "8"), "needs images of 80 pixels or more"),
        (("--share", "1"), "These marks would leave no clean image"),
    ],
)
def test_what_cannot_be_tested_is_refused(version, capsys, extra, sentence):
    assert sentence in refused(capsys, "make_release", version.pk, "--as", "rosa", "--recipient", "North", *extra)
    assert not WatermarkKey.objects.exists()


def test_several_sets_take_over_what_is_meant_for_them(world, capsys):
    version = marked_version(world, per_group=24)
    (made,) = told(
        capsys,
        *("make_release", version.pk, "--as", "rosa", "--recipient", "North", "--preset", "strong", "--share", "0.25"),
        *("--opacity", "0.9", "--set", "{}", "--here"),
        *("--set", '{"association": "plain", "family": "blend", "preset": "discreet", "share": 0.125}'),
    )["releases"]
    assert (made["state"], made["marked"]) == ("ready", 24 + 12)
    first, second = WatermarkKey.objects.get().mark_sets
    assert (first.family, first.opacity, first.share, len(first.groups)) == ("patch", 0.9, 0.25, 4)
    assert (second.family, second.amplitude, second.share, second.groups) == ("blend", 4.0, 0.125, ())


def test_size_classes_and_bans(world, capsys):
    version = marked_version(world, sizes={"ant": 8, "bee": 8, "cow": 8, "dog": 24, "eel": 24, "fox": 24})
    make = ("make_release", version.pk, "--as", "rosa", "--recipient", "North", "--share", "0.25", "--size-classes", 2)
    told(capsys, *make, "--forbid", "1:bee", "--forbid", "4: fox", "--alpha", "0.07")
    settings = WatermarkKey.objects.get().settings
    assert settings["size_classes"] == [0, 0, 0, 1, 1, 1]
    assert settings["forbidden"] == [[0, 1], [3, 5]]


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (("--set", "[]"), "A mark set is a JSON object"),
        (("--set", "{"), "A mark set is a JSON object"),
        (("--set", '{"colour": 1}'), "A mark set has no colour"),
        (("--set", '{"groups": "ant"}'), "groups is a list of texts"),
        (("--set", '{"size_classes": "2"}'), "size_classes is the factor"),
        (("--set", '{"preset": "loud"}'), "There is no preset 'loud'"),
        (("--set", '{"family": "loud"}'), "There is no mark family 'loud'"),
        (("--set", '{"share": "much"}'), "must be a number"),
        (("--set", "{}") * 5, "between 1 and 4 mark sets"),
        (("--set", '{"share": 0.3}') * 2, "would mark 60% of the images of the group ant"),
        (("--set", "{}", "--set", '{"groups": ["ant", "bee", "cow"]}'), "at least 4 groups"),
        (("--association", "plain", "--forbid", "1:ant"), "leave size classes and bans out"),
        (("--forbid", "1:ant"), "these size classes and bans allow is 0.056"),
        (("--size-classes", "0.5"), "at least 1"),
    ],
)
def test_sets_that_cannot_be_are_refused(version, capsys, extra, sentence):
    assert sentence in refused(capsys, "make_release", version.pk, "--as", "rosa", "--recipient", "North", *extra)
    assert not WatermarkKey.objects.exists()
