"""Images that claim what marking would make false: counted when they are read, left alone, or cleared everywhere."""

import json
import re
import uuid
from html import unescape

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from provenance.inspection.classifier import LEAST
from provenance.intake.claims import claims_of
from provenance.intake.labels import Labels
from provenance.intake.take_in import IntakeOptions, take_in
from provenance.models import Dataset, LogEntry, Release, Version
from provenance.services import releases
from provenance.services.inspections import order_inspection
from provenance.services.jobs import worker
from tests.provenance.builders_releases import MARKS, marked_version
from tests.provenance.embedding.builders import GROUPS, jpeg
from tests.provenance.embedding.carried.builders import with_segments
from tests.provenance.embedding.carried.test_claims import JUMBF, SECOND
from tests.provenance.test_release_form import PATCH, form
from tests.world import World

pytestmark = pytest.mark.django_db
FAITHFUL = {"quality": 95, "subsampling": 0}  # every mark survives in it


def claiming_version(world: World, folder, per_group: int = 12) -> Version:
    """Registered by the intake itself: in each class four images carry credentials, one of them MPF as well."""
    for g, group in enumerate(GROUPS):
        (folder / group).mkdir(parents=True)
        for i in range(per_group):
            data = jpeg(100 * g + i, **FAITHFUL)
            data = with_segments(data, (0xEB, JUMBF)) if i < 4 else data
            data = with_segments(data, (0xE2, b"MPF\0II*\0")) + SECOND if i == 3 else data
            (folder / group / f"{i:02d}.jpg").write_bytes(data)
    dataset = Dataset.objects.create(organisation=world.owner, name="Credited", created_by=world.rights_holder)
    version = Version(id=uuid.uuid4(), dataset=dataset, number=1, source="folder", created_by=world.rights_holder)
    taken = take_in(folder, version.folder, IntakeOptions(processes=1, labels=Labels("folder")))
    version.source_name, version.state, version.root = str(folder), Version.State.READY, taken.facts["root"]
    version.file_count, version.total_bytes, version.facts = taken.facts["files"], taken.facts["bytes"], taken.facts
    version.ready_at = timezone.now()
    version.save()
    return version


@pytest.fixture
def version(world, tmp_path):
    return claiming_version(world, tmp_path / "credited")


@pytest.fixture
def browser(world, sign_in):
    return sign_in(world.rights_holder)


def text(response) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def made(world, version, marks=MARKS, **options) -> Release:
    release = releases.make_releases(version, ["Northgate"], marks, by=world.rights_holder, **options)[0]
    worker.run(str(release.job_id))
    release.refresh_from_db()
    assert release.state == Release.State.READY, release.job and release.job.reason
    return release


def claiming_files(release: Release) -> int:
    return sum(bool(claims_of(path.read_bytes())) for path in (release.folder / "files").rglob("*.jpg"))


def test_claims_are_counted_when_the_files_are_read(version, browser):
    assert version.facts["claims"] == {"images": 16, "credentials": 16, "further picture": 4}
    page = text(browser.get(reverse("version_detail", args=[version.pk])))
    assert "False once marked 16: content credentials (C2PA) 4: a further picture" in page


def test_the_plan_says_the_number_before_the_release(version, browser):
    asked = form(version, PATCH)
    left = text(browser.post(reverse("release_plan"), asked))
    assert "16 of the 48 images carry what marking would make false; they stay unmarked unless" in left
    assert "16: content credentials (C2PA) 4: a further picture" in left
    dropped = text(browser.post(reverse("release_plan"), asked | {"drop_claims": "on"}))
    assert "it is dropped from all files of the copy" in dropped


def test_the_plan_of_an_older_version_says_that_nobody_counted(world, browser):
    older = marked_version(world)
    assert "claims" not in older.facts
    page = text(browser.post(reverse("release_plan"), form(older, PATCH)))
    assert "registered before content credentials, gain maps and further pictures were counted" in page


def test_by_default_they_stay_unmarked(world, version, browser):
    release = made(world, version)
    assert claiming_files(release) == 16
    page = text(browser.get(reverse("release_detail", args=[release.pk])))
    assert "Left unmarked 16: content credentials (C2PA) 4: a further picture" in page
    assert "all others are byte for byte the original" in page
    entry = LogEntry.objects.get(verb="release.ordered")
    assert "claims" not in entry.details
    assert "without claims" not in LogEntry.objects.get(verb="release.embedded").details


def test_dropped_they_are_gone_from_all_files_and_stand_in_page_and_log(world, version, browser):
    release = made(world, version, drop_claims=True)
    assert claiming_files(release) == 0
    assert release.facts["claims_dropped"] == {"images": 16, "credentials": 16, "further picture": 4}
    assert release.total_bytes == sum(path.stat().st_size for path in (release.folder / "files").rglob("*.jpg"))
    page = text(browser.get(reverse("release_detail", args=[release.pk])))
    assert "Dropped from all files 16: content credentials (C2PA) 4: a further picture" in page
    assert "what 16 files carried that marking would make false is dropped from all of them" in page
    assert LogEntry.objects.get(verb="release.ordered").details["claims"] == "dropped from all files"
    assert LogEntry.objects.get(verb="release.embedded").details["without claims"] == 16


def test_a_comparison_shows_marks_and_what_was_dropped(world, version, browser):
    kept = made(world, version)
    page = reverse("release_detail", args=[kept.pk])
    assert "from which claims were dropped" not in text(browser.get(page))
    made(world, version, drop_claims=True)
    assert "or different marks, and those from which claims were dropped in one of the two." in text(browser.get(page))


def test_an_inspection_compares_without_those_that_stayed_unmarked_for_their_claims(world, tmp_path, browser):
    """Seven of 16 in each group are marked, and seven of the nine others looked at, four of which claim something."""
    version = claiming_version(world, tmp_path / "more", per_group=16)
    release = made(world, version, MARKS.replace_in_struck(share=0.45))
    assert release.marked_count == 28 >= LEAST
    job = order_inspection(release, by=world.rights_holder)
    worker.run(str(job.pk))
    release.refresh_from_db()
    listed = [json.loads(line)["path"] for line in (release.folder / "marked.jsonl").read_text().splitlines()]
    assert not any(int(path[-6:-4]) < 4 for path in listed)
    assert release.inspection["unmarkable"] >= 8
    page = text(browser.get(reverse("release_detail", args=[release.pk])))
    assert "could not have carried a mark, by their kind or by what they claim." in page


def test_the_choice_changes_no_commitment(world, version):
    """It is the copy's, not the key's: the same settings are committed with and without it."""
    one, two = (
        releases.make_releases(version, [name], MARKS, by=world.rights_holder, drop_claims=drop)[0]
        for name, drop in (("North", False), ("South", True))
    )
    assert one.key.settings == two.key.settings == MARKS.replace_in_struck(spares="many").to_dict()


def test_the_form_keeps_the_choice_and_makes_the_release_with_it(version, browser):
    asked = form(version, PATCH) | {"drop_claims": "on", "near_duplicates": "mark"}
    kept = browser.post(reverse("release_new"), asked | {"add_set": "1"}).content.decode()
    assert " checked" in re.search(r'<input[^>]*name="drop_claims"[^>]*>', kept)[0]
    browser.post(reverse("release_new"), asked)
    assert Release.objects.get().drop_claims
    browser.post(reverse("release_new"), form(version, PATCH, recipients="South") | {"near_duplicates": "mark"})
    assert not Release.objects.get(recipient="South").drop_claims


def test_the_command_has_the_choice(version, capsys):
    make = ("make_release", version.pk, "--as", "rosa", "--here", "--json", "--recipient")
    call_command(*map(str, make), "North", "--drop-claims")
    (north,) = json.loads(capsys.readouterr().out.splitlines()[-1])["releases"]
    assert north["claims_dropped"] == {"images": 16, "credentials": 16, "further picture": 4}
    call_command(*map(str, make), "South")
    (south,) = json.loads(capsys.readouterr().out.splitlines()[-1])["releases"]
    assert south["claims_dropped"] is None
