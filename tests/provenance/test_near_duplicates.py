"""Near-duplicates of a version: counted by a job, shown before a release, left out or marked as its owner chooses."""

import json

import numpy as np
import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.urls import reverse

from provenance.marks import MarkSets
from provenance.marks.copies import read_near_duplicates
from provenance.models import Job, LogEntry, Release, Version
from provenance.services import releases
from provenance.services.jobs import worker
from provenance.services.near_duplicates import (
    KIND,
    NearDuplicatesError,
    leaving_out,
    near_duplicates_of,
    order_count,
    samples,
)
from provenance.services.release_plans import plan_sets
from provenance.services.release_report import set_reports
from provenance.services.words import order_words
from tests.provenance.builders_datasets import ready
from tests.provenance.builders_releases import MARK, MARKS, count_near_duplicates, marked_version
from tests.provenance.embedding.builders import GROUPS
from tests.provenance.near_duplicates.test_finding import FILES
from tests.provenance.near_duplicates.test_finding import GROUPS as LOOK_ALIKE

pytestmark = [pytest.mark.django_db, pytest.mark.long]

ALIKE = {f"ant/{number:03d}.jpg": number // 2 for number in range(6)}  # three pairs


@pytest.fixture
def read(world, no_worker) -> Version:
    """Read, its near-duplicates not yet counted."""
    return ready(world, members=list(FILES.items()))


@pytest.fixture
def version(world) -> Version:
    made = marked_version(world)
    count_near_duplicates(made, ALIKE)
    made.save()
    return made


@pytest.fixture
def uncounted(world) -> Version:
    made = marked_version(world)
    Version.objects.filter(pk=made.pk).update(near_duplicates=None)
    made.refresh_from_db()
    return made


@pytest.fixture
def browser(world, sign_in):
    return sign_in(world.rights_holder)


def text(response) -> str:
    return " ".join(response.content.decode().split())


def form(version: Version, **changes: str) -> dict[str, str]:
    one = {"association": "associated", "family": "patch", "preset": "strong", "group_by": "class", "share": "20"}
    common = {"version": str(version.pk), "recipients": "Northgate", "set_count": "1"}
    return common | {f"set-1-{name}": value for name, value in one.items()} | changes


def job_of(version: Version) -> Job:
    return Job.objects.about(version).get(kind=KIND)


class TestJob:
    def test_reading_a_version_orders_it_and_it_keeps_what_it_found(self, world, read):
        assert near_duplicates_of(read).name == "counting"
        assert job_of(read).created_by == world.rights_holder
        worker.run(str(job_of(read).pk))
        read.refresh_from_db()
        found = read.near_duplicates
        assert (found["images"], found["groups"], found["flat"], found["unread"]) == (7, 3, 3, 0)
        assert found["labels"] == {"a": 1, "b": 2, "c": 4}
        assert near_duplicates_of(read).name == "ready"
        group_of = read_near_duplicates(read.folder, found["digest"])
        paths = sorted(FILES)
        groups = [{paths[index] for index in np.flatnonzero(group_of == number)} for number in range(3)]
        assert sorted(groups, key=min) == LOOK_ALIKE
        assert not (read.folder / "near_duplicates" / "work").exists()
        assert [len(group) for group in samples(read)] == [2, 2, 3]

    def test_the_log_has_numbers_and_digest_and_no_path(self, read):
        worker.run(str(job_of(read).pk))
        entry = LogEntry.objects.get(verb="version.near_duplicates_counted")
        read.refresh_from_db()
        assert entry.details == {"images": 7, "groups": 3, "flat": 3, "unread": 0}
        assert entry.digests == {"near_duplicates": read.near_duplicates["digest"], "manifest_root": read.root}

    def test_it_is_ordered_once(self, world, uncounted, no_worker):
        job = order_count(uncounted, by=world.rights_holder)
        assert order_count(uncounted, by=world.rights_holder) == job
        with pytest.raises(PermissionDenied):
            order_count(uncounted, by=world.auditor)

    def test_what_was_counted_stays(self, world, version):
        with pytest.raises(NearDuplicatesError, match="already"):
            order_count(version, by=world.rights_holder)


class TestLeavingOut:
    def test_the_digest_is_part_of_the_committed_settings(self, world, version):
        (release,) = releases.make_releases(version, ["Northgate"], leaving_out(version, MARKS), by=world.rights_holder)
        assert release.key.settings["near_duplicates"] == version.near_duplicates["digest"]

    def test_no_marked_image_has_one(self, world, version):
        (release,) = releases.make_releases(version, ["Northgate"], leaving_out(version, MARKS), by=world.rights_holder)
        worker.run(str(release.job_id))
        release.refresh_from_db()
        marked = {json.loads(line)["path"] for line in (release.folder / "marked.jsonl").read_bytes().splitlines()}
        assert marked
        assert not marked & set(ALIKE)
        assert [report.no_candidates for report in set_reports(release)] == [{"It has a near-duplicate.": 6}]

    def test_facts_want_no_more_than_there_is(self, world, version):
        count_near_duplicates(version, {f"ant/{number:03d}.jpg": 0 for number in range(8)})
        version.save()
        marks = leaving_out(version, MarkSets((MARK.replace(share=0.45),)))
        (release,) = releases.make_releases(version, ["Northgate"], marks, by=world.rights_holder)
        worker.run(str(release.job_id))
        release.refresh_from_db()
        assert [group["wanted"] for group in release.facts["groups"]] == [4, 5, 5, 5]
        assert release.facts["no_candidates"] == {"It has a near-duplicate.": 8}

    def test_where_there_is_none_the_settings_are_those_of_before(self, world):
        assert leaving_out(marked_version(world), MARKS) == MARKS

    def test_it_needs_a_count(self, uncounted):
        with pytest.raises(NearDuplicatesError, match="counted"):
            leaving_out(uncounted, MARKS)

    def test_the_plan_promises_no_more_than_there_is(self, world, version, no_worker):
        count_near_duplicates(version, {f"ant/{number:03d}.jpg": 0 for number in range(8)})
        version.save()

        def planned(**grouping) -> list[int]:
            marks = leaving_out(version, MarkSets((MARK.replace(**{"share": 0.45, **grouping}),)))
            return [group.marked for group in plan_sets(version, marks)[0].groups]

        assert planned() == [4, 5, 5, 5]
        assert planned(group_by="word") == [5] * 4  # nobody has prepared the captions for counting
        worker.run(str(order_words(version, by=world.rights_holder).pk))
        assert planned(group_by="word") == [4, 5, 5, 5]
        assert planned(groups=(), association="plain") == [21]

    def test_a_group_of_near_duplicates_alone_is_refused_before_a_key_is_drawn(self, world):
        version = marked_version(world)
        count_near_duplicates(version, {f"{GROUPS[0]}/{number:03d}.jpg": 0 for number in range(12)})
        version.save()
        with pytest.raises(releases.ReleaseError, match="ant has a near-duplicate"):
            releases.make_releases(version, ["North"], leaving_out(version, MARKS), by=world.rights_holder)


class TestPages:
    def test_the_versions_page_counts_and_shows_them(self, browser, version):
        page = text(browser.get(reverse("version_detail", args=[version.pk])))
        assert "6 images have a near-duplicate (3 groups)." in page
        assert "Near-duplicates, group 3" in page

    def test_the_versions_page_says_that_there_are_none(self, world, browser):
        assert "No image has a near-duplicate." in text(
            browser.get(reverse("version_detail", args=[marked_version(world).pk]))
        )

    def test_an_older_version_can_be_counted(self, browser, uncounted, no_worker):
        url = reverse("version_near_duplicates", args=[uncounted.pk])
        assert url in text(browser.get(reverse("version_detail", args=[uncounted.pk])))
        assert browser.post(url).status_code == 302
        page = text(browser.get(reverse("version_detail", args=[uncounted.pk])))
        assert "Looking for near-duplicates" in page
        assert url not in page

    @pytest.mark.parametrize(
        ("choice", "says"), [({}, "None of them is marked."), ({"near_duplicates": "mark"}, "marked like all others")]
    )
    def test_the_form_shows_them_before_the_release(self, browser, version, choice, says):
        page = text(browser.post(reverse("release_plan"), form(version, **choice)))
        assert "6 images have a near-duplicate (3 groups)." in page
        assert says in page

    def test_what_the_strengths_cost_is_told_without_them(self, browser, version):
        count_near_duplicates(version, {f"ant/{number:03d}.jpg": 0 for number in range(8)})
        version.save()
        asked = form(version, **{"set-1-share": "45"}) | {"set": "1"}
        left_out, marked = (
            text(browser.post(reverse("release_presets"), asked | choice))
            for choice in ({}, {"near_duplicates": "mark"})
        )
        assert left_out.count(">19</td>") == left_out.count(">4–5</td>") == 3
        assert marked.count(">20</td>") == marked.count(">5</td>") == 3

    def test_while_they_are_counted_the_plan_asks_again(self, world, browser, uncounted, no_worker):
        order_count(uncounted, by=world.rights_holder)
        page = text(browser.post(reverse("release_plan"), form(uncounted)))
        assert "Near-duplicates are being counted" in page
        assert "load delay" in page
        assert "What would be marked" in page

    def test_they_are_left_out_unless_the_owner_chooses_otherwise(self, browser, version):
        browser.post(reverse("release_new"), form(version))
        browser.post(reverse("release_new"), form(version, near_duplicates="mark"))
        marking, leaving = Release.objects.order_by("-created_at")
        assert leaving.key.settings["near_duplicates"] == version.near_duplicates["digest"]
        assert "near_duplicates" not in marking.key.settings

    def test_no_release_before_they_are_counted(self, browser, uncounted):
        page = text(browser.post(reverse("release_new"), form(uncounted)))
        assert "have not been counted" in page
        assert not Release.objects.exists()
        browser.post(reverse("release_new"), form(uncounted, near_duplicates="mark"))
        assert Release.objects.count() == 1

    def test_the_release_says_what_was_left_out(self, world, browser, version):
        (release,) = releases.make_releases(version, ["Northgate"], leaving_out(version, MARKS), by=world.rights_holder)
        worker.run(str(release.job_id))
        page = text(browser.get(reverse("release_detail", args=[release.pk])))
        assert "6: It has a near-duplicate." in page
        assert "left out, by" in page


class TestCommands:
    def told(self, capsys, *arguments: object) -> dict:
        call_command(*map(str, arguments), "--as", "rosa", "--json")
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    def test_they_can_be_counted(self, read, capsys):
        answer = self.told(capsys, "count_near_duplicates", read.pk, "--here")
        assert (answer["state"], answer["images"], answer["groups"]) == ("ready", 7, 3)
        assert self.told(capsys, "count_near_duplicates", read.pk)["images"] == 7

    def test_a_release_leaves_them_out_and_counts_them_first(self, uncounted, capsys):
        (made,) = self.told(capsys, "make_release", uncounted.pk, "--recipient", "North", "--here")["releases"]
        uncounted.refresh_from_db()
        assert uncounted.near_duplicates is not None
        assert made["state"] == "ready"

    def test_what_is_left_out_is_told(self, version, capsys):
        (made,) = self.told(capsys, "make_release", version.pk, "--recipient", "North", "--here")["releases"]
        assert made["no_candidates"] == [{"It has a near-duplicate.": 6}]
        one = self.told(
            capsys, *("make_release", version.pk, "--recipient", "South", "--near-duplicates", "mark", "--here")
        )["releases"][0]
        assert one["no_candidates"] == [{}]

    def test_what_the_strengths_cost_is_told_without_them(self, version, capsys):
        count_near_duplicates(version, {f"ant/{number:03d}.jpg": 0 for number in range(11)})
        version.save()
        for choice, ants in (("leave-out", 1), ("mark", 2)):
            told = self.told(capsys, "list_presets", version.pk, "--near-duplicates", choice, "--here")
            assert told["presets"][0]["groups"] == {"ant": ants, "bee": 2, "cow": 2, "dog": 2}

    def test_every_set_counts_its_own(self, world, version, capsys, sign_in):
        """An image is no candidate of either set: a sum over the sets would count it twice."""
        sets = ('{"share": 0.2}', '{"family": "blend", "association": "plain", "share": 0.1}')
        options = [word for one in sets for word in ("--set", one)]
        (made,) = self.told(capsys, "make_release", version.pk, "--recipient", "North", *options, "--here")["releases"]
        assert made["no_candidates"] == [{"It has a near-duplicate.": 6}] * 2
        page = text(sign_in(world.rights_holder).get(reverse("release_detail", args=[made["release"]])))
        assert page.count("<dt>No candidates</dt><dd>6: It has a near-duplicate.</dd>") == 2

    def test_without_a_count_it_is_refused(self, uncounted, capsys):
        with pytest.raises(SystemExit):
            call_command("make_release", str(uncounted.pk), "--recipient", "North", "--as", "rosa")
        assert "have not been counted" in capsys.readouterr().err
