"""Live plans of groups that are words: counted in the prepared captions, never in a large manifest."""

import csv
import io
import json

import numpy as np
import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.urls import reverse

from provenance.marks import MarkSets, MarkSettings
from provenance.marks.captions import FOLDING
from provenance.models import Job, Release, Version
from provenance.services import clusters, release_plans
from provenance.services.jobs import worker
from provenance.services.presets import cost_of
from provenance.services.release_plans import ReleaseError, UncountedError, plan_sets, within_sizes
from provenance.services.words import KIND, captions_path, order_words
from tests.provenance.builders_datasets import ready
from tests.provenance.intake.samples import jpeg

pytestmark = pytest.mark.django_db

ANIMALS = ("horse", "zebra", "sheep", "goat")
WORDS = MarkSettings(groups=ANIMALS, group_by="word", share=0.2)
PLAIN = MarkSettings(association="plain", share=0.1)


@pytest.fixture
def version(world, monkeypatch) -> Version:
    """Of 40 captions, more than are read at once here; its words are not counted yet."""
    rows = [(f"{number:02d}.jpg", f"a {ANIMALS[number % 4]}, picture {number}") for number in range(40)]
    rows[0] = ("00.jpg", "a horse and a zebra")
    rows[1] = ("01.jpg", "nothing")
    table = io.StringIO()
    csv.writer(table).writerows([("path", "caption"), *rows])
    members = [("labels.csv", table.getvalue().encode())] + [(path, jpeg(i)) for i, (path, _) in enumerate(rows)]
    monkeypatch.setattr(release_plans, "READ_AT_ONCE", 39)
    return ready(world, members=members, labels=Version.Labels.CSV)


@pytest.fixture
def prepared(version) -> Version:
    worker.run(str(Job.objects.about(version).get(kind=KIND).pk))
    assert captions_path(version).exists()
    return version


def test_prepared_captions_give_the_counts_of_the_manifest_without_reading_it(prepared):
    (counted,) = plan_sets(prepared, MarkSets((WORDS,)), wait=False)
    captions_path(prepared).unlink()
    cache.clear()
    assert plan_sets(prepared, MarkSets((WORDS,))) == [counted]
    assert [group.images for group in counted.groups] == [9, 9, 10, 10]
    assert (counted.ambiguous, counted.outside) == (1, 1)


def test_several_sets_are_checked_for_room_without_reading_the_manifest(prepared, world):
    labels = np.repeat(np.arange(4, dtype=np.uint16), 10)
    found = clusters.Found(labels, "timm:resnet18", "0" * 64, 1, {})
    kept = clusters.keep(prepared, found, by=world.rights_holder)
    by_cluster = MarkSettings(groups=kept.names, group_by="cluster", clusters=kept.digest, share=0.2)
    marks = MarkSets((WORDS, by_cluster, PLAIN))
    counted = release_plans._count_membership(prepared, marks, wait=False)
    captions_path(prepared).unlink()
    assert release_plans._count_membership(prepared, marks, wait=True) == counted
    assert len(plan_sets(prepared, MarkSets((WORDS, PLAIN)))) == 2


@pytest.mark.parametrize("left", ["", "a horse\n", "a horse\na zeb", "a horse\n" * 41])
def test_captions_of_another_length_count_for_nothing_until_they_are_prepared_anew(prepared, world, left):
    whole = captions_path(prepared).read_bytes()
    captions_path(prepared).write_text(left)
    marks = MarkSets((WORDS, PLAIN))
    with pytest.raises(UncountedError, match="not prepared"):
        plan_sets(prepared, marks, wait=False)
    counted = plan_sets(prepared, marks)
    assert [group.images for group in counted[0].groups] == [9, 9, 10, 10]
    worker.run(str(order_words(prepared, by=world.rights_holder).pk))
    assert captions_path(prepared).read_bytes() == whole
    cache.clear()
    assert plan_sets(prepared, marks, wait=False) == counted


def test_captions_folded_by_other_rules_are_not_read(prepared):
    assert captions_path(prepared).name == f"captions-{FOLDING}.txt"


def test_of_very_many_prepared_captions_none_are_counted_while_a_person_waits(prepared, monkeypatch):
    monkeypatch.setattr(release_plans, "COUNTED_AT_ONCE", 39)
    for marks in (MarkSets((WORDS,)), MarkSets((WORDS, PLAIN))):
        with pytest.raises(UncountedError, match=r"too many images .* release is made.* list_presets"):
            plan_sets(prepared, marks, wait=False)
    with pytest.raises(ReleaseError, match=r"sorted by size\. Make the release with the command"):
        within_sizes(prepared, WORDS, 2.0)
    assert within_sizes(prepared, WORDS, 2.0, wait=True) == WORDS


def test_costs_are_counted_where_nobody_waits_on_a_page(version):
    assert "not prepared" in cost_of(version, WORDS).refusal
    assert [group.images for group in cost_of(version, WORDS, wait=True).plan.groups] == [9, 9, 10, 10]


def test_the_command_counts_them(version, capsys):
    words = [word for animal in ANIMALS for word in ("--group", animal)]
    call_command("list_presets", str(version.pk), "--as", "rosa", "--here", "--json", "--group-by", "word", *words)
    presets = json.loads(capsys.readouterr().out.splitlines()[-1])["presets"]
    assert all(row["groups"].keys() == set(ANIMALS) and not row["refusal"] for row in presets)


def test_where_nothing_is_prepared_the_form_says_so_and_the_release_is_checked(world, version, sign_in):
    with pytest.raises(UncountedError, match="counted and checked when the release is made"):
        plan_sets(version, MarkSets((WORDS,)), wait=False)
    browser = sign_in(world.rights_holder)
    form = {"version": str(version.pk), "set_count": "1", "set-1-association": "associated", "set-1-family": "patch",
            "set-1-preset": "balanced", "set-1-group_by": "word", "set-1-groups": "\n".join(ANIMALS)}  # fmt: skip
    page = browser.post(reverse("release_plan"), form).content.decode()
    assert "checked when the release is made" in page
    assert "once these are put right" not in page
    wrong = form | {"set-1-groups": "horse\nzebra\nsheep\nunicorn", "recipients": "North"}
    assert "unicorn" in browser.post(reverse("release_new"), wrong).content.decode()
    assert not Release.objects.exists()
    whole = form | {"recipients": "North", "near_duplicates": "mark"}
    assert browser.post(reverse("release_new"), whole).status_code == 302
    assert Release.objects.count() == 1


def test_size_classes_wait_for_the_counts(version, prepared):
    assert within_sizes(prepared, WORDS, 2.0) == WORDS
    captions_path(prepared).unlink()
    cache.clear()
    with pytest.raises(ReleaseError, match="wait for that job"):
        within_sizes(version, WORDS, 2.0)
    assert within_sizes(version, WORDS, 2.0, wait=True) == WORDS
