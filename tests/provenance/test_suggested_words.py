"""Suggested words of captions: counted when a version is read, ordered anew, shown where groups are chosen."""

import csv
import io
import json

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.urls import reverse

from provenance.models import Job, LogEntry, Version
from provenance.services import datasets
from provenance.services.jobs import queue, worker
from provenance.services.release_plans import plan
from provenance.services.words import KIND, WordsOrderError, enqueue_words, order_words, words_of
from tests.provenance.builders_datasets import ready, registered
from tests.provenance.builders_releases import marked_version
from tests.provenance.intake.samples import jpeg

pytestmark = [pytest.mark.django_db, pytest.mark.long]

ANIMALS = ("horse", "zebra", "sheep", "goat")


def captioned_members() -> list[tuple[str, bytes]]:
    rows = [(f"{number:02d}.jpg", f"a {ANIMALS[number % 4]}, picture {number}") for number in range(24)]
    rows[0] = ("00.jpg", "a horse and a zebra")
    table = io.StringIO()
    csv.writer(table).writerows([("path", "caption"), *rows])
    return [("labels.csv", table.getvalue().encode())] + [(path, jpeg(i)) for i, (path, _) in enumerate(rows)]


@pytest.fixture
def version(world) -> Version:
    """Read, its words not yet counted."""
    return ready(world, members=captioned_members(), labels=Version.Labels.CSV)


@pytest.fixture
def browser(world, sign_in):
    return sign_in(world.rights_holder)


def job_of(version: Version) -> Job:
    return Job.objects.about(version).get(kind=KIND)


def counted(version: Version) -> Version:
    worker.run(str(job_of(version).pk))
    version.refresh_from_db()
    return version


def text(response) -> str:
    return response.content.decode()


class TestJob:
    def test_reading_captions_orders_it_and_it_counts_what_a_release_counts(self, world, version):
        assert words_of(version).name == "counting"
        assert job_of(version).created_by == world.rights_holder
        found = counted(version).suggested_words
        assert {row["word"] for row in found["words"]} == set(ANIMALS)
        planned = plan(version, "word", [row["word"] for row in found["words"]], 1.0)
        assert [row["alone"] for row in found["words"]] == [group.images for group in planned.groups]
        assert (found["ambiguous"], found["outside"]) == (planned.ambiguous, planned.outside) == (1, 0)
        assert words_of(version).name == "ready"
        entry = LogEntry.objects.get(verb="version.words_suggested")
        assert entry.details == {"asked": 10, "words": 4}  # never the words: they are the owner's

    def test_images_without_captions_order_nothing(self, world):
        version = ready(world)
        assert words_of(version).name == "none"
        assert not Job.objects.filter(kind=KIND).exists()
        with pytest.raises(WordsOrderError, match="no captions"):
            order_words(version, by=world.rights_holder)

    def test_only_the_rights_holder_orders_it(self, world, version):
        for person in (world.auditor, world.legal, world.administrator, world.outsider):
            with pytest.raises(PermissionDenied):
                order_words(version, by=person)

    def test_two_orders_are_one_job(self, world, version):
        assert order_words(version, by=world.rights_holder) == job_of(version)
        assert enqueue_words(version, by=None) == job_of(version)

    def test_a_version_that_is_not_read_is_refused(self, world):
        with pytest.raises(WordsOrderError, match="not been read"):
            order_words(registered(world), by=world.rights_holder)

    def test_cancelled_it_leaves_the_version_as_it_was(self, world, version):
        root = version.root
        queue.cancel(job_of(version), by=world.rights_holder)
        version.refresh_from_db()
        assert (version.state, version.root) == (Version.State.READY, root)
        assert words_of(version).name == "failed"
        again = order_words(version, by=world.rights_holder, count=4)
        worker.run(str(again.pk))
        version.refresh_from_db()
        assert version.suggested_words["asked"] == 4

    def test_failed_it_says_why_and_what_was_counted_before_stays(self, world, version):
        before = counted(version).suggested_words
        job = order_words(version, by=world.rights_holder)
        (version.manifest_folder / "manifest.jsonl").write_bytes(b"{}\n" * 24)
        worker.run(str(job.pk))
        job.refresh_from_db()
        version.refresh_from_db()
        assert job.state == Job.State.FAILED
        assert "manifest" in job.reason.lower()
        assert version.suggested_words == before


class TestForm:
    def part(self, browser, version, prefix="set-1") -> str:
        return text(browser.get(reverse("release_words"), {"version": str(version.pk), "set": prefix}))

    def test_it_offers_each_word_with_its_counts(self, browser, version):
        page = self.part(browser, counted(version), prefix="set-2")
        assert page.count('data-fills="id_set-2-groups"') == 4
        assert "Take these 4 words" in page
        assert "1 of the 24 captions has two or more of them; its image would belong to no group." in page

    def test_while_it_is_counted_the_part_asks_again(self, browser, version):
        page = self.part(browser, version)
        assert "every 1500ms" in page
        assert "queued" in page

    @pytest.mark.parametrize(("group_by", "offered"), [("class", False), ("word", True), ("cluster", False)])
    def test_words_alone_ask_for_it_right_behind_the_box_for_names(self, browser, version, group_by, offered):
        asked = {"version": str(version.pk), "set_count": "2", "set-2-group_by": group_by}
        page = text(browser.post(reverse("release_new"), asked, headers={"hx-request": "true"}))
        behind = page.partition('name="set-2-groups"')[2].partition('class="field')[0]
        assert ("data-words" in behind) == offered
        assert page.count("data-words") == offered

    def test_no_caption_is_said(self, world, browser):
        assert "No image of this version has a caption" in self.part(browser, ready(world))

    def test_no_word_is_said(self, browser, version):
        Version.objects.update(suggested_words={"asked": 10, "words": [], "captions": 24})
        Job.objects.filter(kind=KIND).update(state="done")
        assert "No word stands in enough" in self.part(browser, version)

    def test_an_older_version_can_be_counted_from_here(self, browser, version):
        Job.objects.filter(kind=KIND).delete()
        assert "have not been counted yet" in self.part(browser, version)
        url = reverse("version_words", kwargs={"pk": version.pk})
        page = text(browser.post(url, {"set": "set-1"}, headers={"hx-request": "true"}))
        assert "are being counted" in page
        assert job_of(version).params["count"] == 10

    def test_a_failure_is_said_with_its_reason(self, browser, version):
        Job.objects.filter(kind=KIND).update(state="failed", reason="The disk was full.")
        page = self.part(browser, version)
        assert "The disk was full." in page
        assert "Count them again" in page

    def test_versions_of_others_and_nonsense_offer_nothing(self, world, sign_in, browser, version):
        counted(version)
        assert "horse" not in self.part(sign_in(world.outsider), version)
        asked = {"version": "x", "set": "set-1"}
        assert not text(browser.get(reverse("release_words"), asked)).strip()


class TestVersionPage:
    def page(self, client, version) -> str:
        return text(client.get(reverse("version_detail", kwargs={"pk": version.pk})))

    def test_the_owner_sees_them_and_counts_for_another_number(self, browser, version):
        assert "Words for groups" in self.page(browser, counted(version))
        url = reverse("version_words", kwargs={"pk": version.pk})
        assert browser.post(url, {"count": "6"}).status_code == 302
        assert Job.objects.about(version).filter(kind=KIND).first().params["count"] == 6

    @pytest.mark.parametrize("count", ["3", "33", "many", ""])
    def test_a_number_that_cannot_be_is_refused(self, browser, version, count):
        counted(version)
        answer = browser.post(reverse("version_words", kwargs={"pk": version.pk}), {"count": count}, follow=True)
        assert ("Ask for 4 to 32 words." in text(answer)) == bool(count)

    def test_nobody_else_sees_them(self, world, sign_in, version):
        counted(version)
        datasets.grant(version.dataset, "gita", by=world.rights_holder)
        for person in (world.auditor, world.legal, world.guest_auditor):
            assert "Words for groups" not in self.page(sign_in(person), version)


class TestCommand:
    def told(self, capsys, *arguments: object) -> dict:
        call_command("suggest_words", *map(str, arguments), "--json")
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    def test_it_counts_where_nobody_did(self, world, capsys):
        version = marked_version(world)
        found = self.told(capsys, version.pk, "--as", "rosa", "--here")
        assert found["state"] == "ready"
        assert {row["word"] for row in found["words"]} == {"ant", "bee", "cow", "dog"}
        before = job_of(version)
        assert self.told(capsys, version.pk, "--as", "rosa") == found | {"state": "ready"}
        assert job_of(version) == before
        assert self.told(capsys, version.pk, "--as", "rosa", "--count", 5, "--here")["asked"] == 5

    def test_it_is_for_rights_holders(self, world, version, capsys):
        with pytest.raises(SystemExit):
            call_command("suggest_words", str(version.pk), "--as", "adam", "--json")
        assert "rights-holders" in json.loads(capsys.readouterr().out)["error"]
