"""Releases with several mark sets through services and pages: made, shown set by set, logged, resumed."""

import json
import re
from html import unescape

import pytest
from django.urls import reverse

from provenance.intake.manifest import Manifest
from provenance.marks import MarkSets, MarkSettings, SettingsError, candidates_of_sets
from provenance.models import Job, LogEntry, Release, WatermarkKey
from provenance.services import keys, releases
from provenance.services.jobs import queue, worker
from provenance.services.release_gallery import marked_page
from provenance.services.release_plans import plan_sets
from provenance.services.release_report import set_reports
from tests.provenance.builders_releases import MARK, MARKS, marked_version
from tests.provenance.embedding.builders import GROUPS

pytestmark = [pytest.mark.django_db, pytest.mark.long]

BLEND = MarkSettings(association="plain", family="blend", amplitude=16.0, share=0.1)
SIZED = MarkSettings(groups=GROUPS, share=0.1, opacity=1.0, size_classes=(0, 0, 1, 1), forbidden=((0, 1),))
SEVERAL = MarkSets((MARK, BLEND, SIZED))


def text(response) -> str:
    return " ".join(unescape(response.content.decode()).split())


@pytest.fixture
def version(world):
    return marked_version(world, per_group=40)


def made(world, version, marks=SEVERAL, recipient="Northgate") -> Release:
    release = releases.make_releases(version, [recipient], marks, by=world.rights_holder)[0]
    worker.run(str(release.job_id))
    release.refresh_from_db()
    assert release.state == Release.State.READY, release.job and release.job.reason
    return release


class TestServices:
    def test_a_release_with_several_sets_is_made_and_logged(self, world, version):
        release = made(world, version)
        assert release.marked_count == 32 + 16 + 16
        assert WatermarkKey.objects.get().mark_sets == SEVERAL.replace_in_struck(spares="many")
        happened = [entry.verb for entry in LogEntry.objects.about(release, release.key)]
        assert happened[1:3] == ["key.committed", "release.ordered"]
        ordered = LogEntry.objects.get(verb="release.ordered")
        assert ordered.details["mark sets"] == 3
        assert "assignment" not in json.dumps([release.facts, release.key.settings])

    def test_one_set_is_told_as_ever(self, world, version):
        release = made(world, version, MARKS)
        assert "sets" not in release.facts
        assert "mark sets" not in LogEntry.objects.get(verb="release.ordered").details

    def test_sets_that_leave_too_little_are_refused_before_a_key_is_drawn(self, world, version):
        crowded = MarkSets((MARK.replace(share=0.3), BLEND.replace(share=0.3)))
        with pytest.raises(SettingsError, match="would mark 60%"):
            releases.make_releases(version, ["North"], crowded, by=world.rights_holder)
        assert not WatermarkKey.objects.exists()

    def test_words_and_classes_are_weighed_together(self, version):
        words = MarkSettings(groups=GROUPS, group_by="word", share=0.3)
        with pytest.raises(SettingsError, match="would mark 60%"):
            plan_sets(version, MarkSets((MARK.replace(share=0.3), words)))
        plans = plan_sets(version, MarkSets((MARK, words)))
        assert [plan.marked for plan in plans] == [32, 48]

    @pytest.mark.parametrize(("marks", "plain"), [((BLEND,), True), ((BLEND, BLEND), True), ((MARK, BLEND), False)])
    def test_a_release_is_plain_where_every_set_is(self, world, version, marks, plain):
        (release,) = releases.make_releases(version, ["North"], MarkSets(marks), by=world.rights_holder)
        assert release.is_plain == plain

    def test_a_job_that_failed_in_the_second_set_goes_on_there(self, world, version):
        release = releases.make_releases(version, ["South"], SEVERAL, by=world.rights_holder)[0]
        with Manifest(version.manifest_folder) as manifest:
            secrets = keys.open_secrets(keys.record_beacon(release.key))
            proposed = candidates_of_sets(secrets, manifest, [[40] * 4, [160], [40] * 4])
        damaged = version.files_folder / proposed[1][0].images[0].path
        kept = damaged.read_bytes()
        damaged.write_bytes(bytes(len(kept)))
        worker.run(str(release.job_id))
        release.refresh_from_db()
        assert release.state == Release.State.FAILED
        assert len(list((release.folder / "work" / "marks").glob("*.json"))) == 4  # the first set's blocks stay
        damaged.write_bytes(kept)
        queue.retry(Job.objects.get(pk=release.job_id), by=world.rights_holder)
        worker.run(str(release.job_id))
        release.refresh_from_db()
        assert release.state == Release.State.READY
        assert [one["marked"] for one in release.facts["sets"]] == [32, 16, 16]


class TestReport:
    def test_each_set_reports_what_survived_and_what_was_replaced(self, world, version):
        reports = set_reports(made(world, version))
        assert [(one.number, one.mark.family, one.marked, one.wanted) for one in reports] == [
            (1, "patch", 32, 32),
            (2, "blend", 16, 16),
            (3, "patch", 16, 16),
        ]
        for one in reports:
            assert 0.7 <= one.facts["survival"]["minimum"] <= one.facts["survival"]["median"]
            assert (one.as_source, one.rewritten) == (one.marked, 0)
            assert (one.replaced, one.unfilled) == (0, 0)

    def test_releases_made_before_still_say_what_was_written_otherwise(self, world, version):
        release = made(world, version, MARKS)
        release.facts |= {
            # Releases made before said "quality 90", without WebP.
            "written_as": {"WebP quality 90": 1, "finer tables": 3, "quality 90": 1, "quality 95": 1, "source": 24},
            "passed_over": {"The image already looks like the mark.": 4, "The image cannot be decoded.": 1},
        }
        release.facts["groups"][0]["marked"] -= 2
        release.facts["marked"] -= 2
        (one,) = set_reports(release)
        assert (one.as_source, one.of_unknown_quality, one.rewritten) == (24, 2, 4)
        assert (one.unfilled, one.replaced) == (2, 3)


class TestPages:
    @pytest.fixture
    def release(self, world, version):
        return made(world, version)

    @pytest.fixture
    def browser(self, world, sign_in):
        return sign_in(world.rights_holder)

    def test_the_release_page_tells_every_set(self, browser, release):
        page = text(browser.get(reverse("release_detail", kwargs={"pk": release.pk})))
        for number in (1, 2, 3):
            assert f'id="psnr-{number}"' in page
            assert f'id="survival-{number}"' in page
        assert "blend, plain" in page
        assert "Missing</th>" in page
        assert "next draw" in page
        assert "2: ant, bee; cow, dog" in page

    def test_bans_are_named_to_the_owner_alone(self, world, browser, sign_in, release):
        url = reverse("release_detail", kwargs={"pk": release.pk})
        assert "pattern 1 not on bee" in text(browser.get(url))
        seen = text(sign_in(world.auditor).get(url))
        assert "Bans" in seen
        assert "not on bee" not in seen

    def test_one_set_has_the_page_it_had(self, world, browser, version):
        release = made(world, version, MARKS)
        page = text(browser.get(reverse("release_detail", kwargs={"pk": release.pk})))
        assert 'id="psnr-1"' in page
        assert not re.search(r"[Mm]ark sets?\b", page)

    def test_the_key_page_lists_the_settings_of_every_set(self, browser, release):
        page = text(browser.get(reverse("key_detail", kwargs={"pk": release.key_id})))
        assert "Mark set 3" in page
        assert "blend, plain" in page

    def test_the_list_says_how_many_sets(self, browser, release):
        assert "64 in 3 sets" in text(browser.get(reverse("release_list")))

    def test_the_gallery_says_which_set_a_picture_belongs_to(self, browser, release):
        rows = [row for page in range(1, 9) for row in marked_page(release, page)]
        assert {(row.set, row.group) for row in rows if row.set == 2} == {(2, "all images")}
        assert sum(row.set == 3 for row in rows) == 16
        page = text(browser.get(reverse("release_gallery", kwargs={"pk": release.pk})))
        assert re.search(r"mark set [123] ·", page)

    def test_the_gallery_of_plain_marks_opens(self, world, browser, version):
        release = made(world, version, MarkSets((BLEND,)))
        page = browser.get(reverse("release_gallery", kwargs={"pk": release.pk}))
        assert page.status_code == 200
        assert not re.search(r"[Mm]ark sets?\b", text(page))
