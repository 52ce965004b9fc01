"""A manifest that is lost for good can be given up; its version then counts as sharing images with all of its owner."""

import json
import shutil

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.urls import reverse

from provenance.models import LogEntry, Version
from provenance.services import overlaps
from provenance.services.lost_manifests import LostManifestError, give_up, is_lost
from tests.provenance.test_overlaps import same, version_of

pytestmark = pytest.mark.django_db


def lost(world, name: str, images=range(900, 910), organisation=None) -> Version:
    made = version_of(world, name, images, organisation)
    made.manifest_folder.rename(made.folder / "away")
    overlaps.compare_all()
    assert is_lost(made)
    return made


def bring_back(version: Version) -> None:
    (version.folder / "away").rename(version.manifest_folder)


def given_up(world, name: str, organisation=None, **by) -> Version:
    made = lost(world, name, organisation=organisation)
    give_up(made, "a fire", by=by.get("by", world.rights_holder))
    return made


def test_it_counts_as_sharing_images_with_every_version_of_its_organisation(world):
    one, other = version_of(world, "one", range(20)), version_of(world, "other", range(100, 120))
    theirs = version_of(world, "theirs", range(10), world.elsewhere)  # of the same images as one
    gone = lost(world, "gone")
    assert (same(one), same(other)) == ({one, theirs}, {other})
    give_up(gone, "a fire", by=world.rights_holder)
    assert same(one) == same(other) == same(gone) == {one, other, gone, theirs}
    assert same(theirs) == {one, theirs}  # a stranger's is not tied to what another one lost
    assert set(overlaps.not_compared()) == {gone}


def test_sets_are_counted_as_families_are_found(world):
    apart = [version_of(world, f"{n}", range(100 * n, 100 * n + 10)) for n in range(3)]
    asked = [one.pk for one in apart]
    overlaps.compare_all()
    assert overlaps.count_families(asked, world.owner) == 3
    for name in ("gone", "gone, too"):
        given_up(world, name)
        assert overlaps.count_families(asked, world.owner) == 1
        assert len({frozenset(overlaps.family(one)) for one in apart}) == 1


def test_one_of_the_auditor_counts_and_ties_nothing_further(world):
    asked = version_of(world, "asked", range(10))
    theirs = version_of(world, "theirs", range(50, 60), world.laboratory)
    gone = lost(world, "gone", organisation=world.laboratory)
    Version.objects.filter(pk=gone.pk).update(given_up_at=gone.ready_at)
    assert overlaps.family(asked, world.laboratory.pk) == {asked.pk, gone.pk}
    assert overlaps.family(asked, world.owner.pk) == overlaps.family(asked) == {asked.pk}
    assert overlaps.family(theirs) == {theirs.pk, gone.pk}


def test_the_act_is_logged_with_its_reason(world):
    gone = lost(world, "gone")
    give_up(gone, "  a fire  ", by=world.rights_holder)
    entry = LogEntry.objects.about(gone).get(verb="version.manifest_given_up")
    assert entry.details["reason"] == "a fire"
    assert entry.digests == {"manifest_root": gone.root}
    with pytest.raises(LostManifestError, match="given up already"):
        give_up(gone, "again", by=world.rights_holder)


def test_it_is_refused_while_the_manifest_is_there_without_a_reason_and_to_others(world):
    there = version_of(world, "there", range(10))
    gone = lost(world, "gone")
    for version, because, sentence in (
        (there, "a fire", "is on the server"),
        (gone, "  ", "Say how"),
    ):
        with pytest.raises(LostManifestError, match=sentence):
            give_up(version, because, by=world.rights_holder)
    for person in (world.auditor, world.administrator, world.outsider):
        with pytest.raises(PermissionDenied):
            give_up(gone, "a fire", by=person)
    Version.objects.filter(pk=gone.pk).update(state="reading")
    gone.refresh_from_db()
    with pytest.raises(LostManifestError, match="no manifest yet"):
        give_up(gone, "a fire", by=world.rights_holder)
    assert not Version.objects.given_up().exists()


def test_one_that_is_back_is_compared_and_counts_as_any_other(world):
    one, other = version_of(world, "one", range(20)), version_of(world, "other", range(900, 910))
    gone = given_up(world, "gone")
    bring_back(gone)
    assert same(one) == {one, other, gone}  # until somebody compares it
    overlaps.compare_all()
    assert (same(one), same(other)) == ({one}, {other, gone})
    gone.refresh_from_db()
    assert (gone.given_up_at, gone.given_up_because) == (None, "")
    assert LogEntry.objects.about(gone).filter(verb="version.manifest_back").count() == 1
    overlaps.compare_all()
    shutil.rmtree(gone.manifest_folder)
    give_up(gone, "again", by=world.rights_holder)
    assert same(one) == {one, other, gone}


def test_the_page_says_what_is_missing_and_gives_it_up(world, sign_in):
    gone = lost(world, "gone")
    page = reverse("version_detail", args=[gone.pk])
    browser = sign_in(world.rights_holder)
    shown = browser.get(page).content.decode()
    assert "manifest missing" in shown
    assert "Give the manifest up" in shown
    assert "Give the manifest up" not in sign_in(world.auditor).get(page).content.decode()
    act = reverse("version_give_up", args=[gone.pk])
    assert "This field is required" in browser.post(act, {"reason": ""}).content.decode()
    after = browser.post(act, {"reason": "a fire"}, follow=True).content.decode()
    assert "Plans need not wait for it any more" in after
    assert ": a fire" in after
    assert "Give the manifest up" not in after


def test_a_page_that_was_open_too_long_says_so(world, sign_in):
    gone = lost(world, "gone")
    bring_back(gone)
    act = reverse("version_give_up", args=[gone.pk])
    shown = sign_in(world.rights_holder).post(act, {"reason": "a fire"})
    assert shown.status_code == 302
    assert not Version.objects.given_up().exists()


def test_the_command_does_the_same(world, capsys):
    gone = lost(world, "gone")
    words = [str(gone.pk), "--as", world.rights_holder.username, "--reason", "a fire", "--json"]
    call_command("give_up_manifest", *words)
    told = json.loads(capsys.readouterr().out)
    assert (told["version"], told["reason"]) == (str(gone.pk), "a fire")
    with pytest.raises(SystemExit):
        call_command("give_up_manifest", *words)
    assert "given up already" in capsys.readouterr().out
