"""Whether marked files can be told apart: ordered, inspected in a job, shown to the owner alone."""

import json

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.urls import reverse

from provenance.inspection.classifier import LEAST
from provenance.inspection.errors import InspectionError
from provenance.models import Job, LogEntry, Release
from provenance.services import datasets, inspections
from provenance.services.inspections import KIND, inspection_of, order_inspection
from provenance.services.jobs import queue, worker
from tests.provenance.builders_releases import marked_version, ordered_release, ready_release

pytestmark = [pytest.mark.django_db, pytest.mark.long]


@pytest.fixture(autouse=True)
def inspected_unasked(monkeypatch, uninspected) -> None:
    monkeypatch.setattr("provenance.services.releases.LEAST", LEAST)


@pytest.fixture
def release(world) -> Release:
    """With 40 marked files; its inspection is queued, and not run."""
    return ready_release(world, marked_version(world, per_group=50))


@pytest.fixture
def browser(world, sign_in):
    return sign_in(world.rights_holder)


def job_of(release: Release) -> Job:
    return Job.objects.about(release).get(kind=KIND)


def inspected(release: Release) -> Release:
    worker.run(str(job_of(release).pk))
    release.refresh_from_db()
    assert release.inspection, job_of(release).reason + job_of(release).detail
    return release


def rewritten(release: Release) -> Release:
    """A copy whose marked files have bytes behind their ends."""
    for line in (release.folder / "marked.jsonl").read_text().splitlines():
        file = release.folder / "files" / json.loads(line)["path"]
        file.write_bytes(file.read_bytes() + bytes(8))
    return release


def text(response) -> str:
    return response.content.decode()


class TestJob:
    def test_making_a_release_orders_it_and_it_compares_files_of_the_same_groups(self, release):
        assert inspection_of(release).name == "running"
        found = inspected(release).inspection
        assert (found["marked"], found["others"], found["seed"]) == (40, 40, 1)
        assert (found["marked_tested"], found["others_tested"]) == (20, 20)
        assert 0 <= found["low"] <= found["auc"] <= found["high"] <= 1
        assert inspection_of(release).name == "ready"
        assert not (release.folder / "inspection").exists()
        assert found["by_form"]["outcome"] != "apart"  # 20 of either kind: what can be said is that nothing was found
        assert found["with_pictures"]["columns"] > found["columns"] > found["by_form"]["columns"]
        self.check_that_the_log_says_what_came_out_and_names_no_file(release)

    def check_that_the_log_says_what_came_out_and_names_no_file(self, release):
        entry = LogEntry.objects.get(verb="release.inspected")
        assert entry.details["marked"] == 40
        kept = json.dumps([entry.details, entry.digests, release.inspection, job_of(release).params])
        assert ".jpg" not in kept

    def test_few_marked_files_are_not_inspected_unasked(self, world):
        small = ready_release(world)
        assert small.marked_count < 20
        assert inspection_of(small).name == "new"
        job = order_inspection(small, by=world.rights_holder)
        worker.run(str(job.pk))
        assert "at least 20 marked files" in inspection_of(small).job.reason

    def test_only_the_rights_holder_orders_it(self, world, release):
        for person in (world.auditor, world.legal, world.administrator, world.outsider):
            with pytest.raises(PermissionDenied):
                order_inspection(release, by=person)

    def test_two_orders_are_one_job(self, world, release):
        assert order_inspection(release, by=world.rights_holder) == job_of(release)

    @pytest.mark.parametrize("asked", [{"seed": -1}, {"most": 19}, {"most": 5001}])
    def test_what_cannot_be_asked_is_refused(self, world, release, asked):
        with pytest.raises(InspectionError):
            order_inspection(release, by=world.rights_holder, **asked)

    def test_a_release_that_is_not_ready_is_refused(self, world):
        with pytest.raises(InspectionError, match="once it is made"):
            order_inspection(ordered_release(world), by=world.rights_holder)

    def test_at_most_so_many_are_looked_at(self, world, release):
        queue.cancel(job_of(release), by=world.rights_holder)
        worker.run(str(order_inspection(release, by=world.rights_holder, most=20, seed=5).pk))
        release.refresh_from_db()
        assert (release.inspection["marked"], release.inspection["others"]) == (20, 20)

    def test_another_attempt_goes_on_where_the_first_one_stopped(self, world, release, monkeypatch):
        monkeypatch.setattr(inspections, "BLOCK", 10)
        whole = inspected(release).inspection
        files = {path: path.read_bytes() for path in sorted((release.folder / "files").rglob("*.jpg"))}
        late = list(files)[len(files) // 2 :]
        for path in late:
            path.unlink()
        job = order_inspection(release, by=world.rights_holder)
        worker.run(str(job.pk))
        job.refresh_from_db()
        assert job.state == Job.State.FAILED
        assert "is gone" in job.reason
        assert ".jpg" not in job.reason
        stored = {path: path.stat().st_mtime_ns for path in (release.folder / "inspection" / "1-1000").iterdir()}
        assert stored
        for path in late:
            path.write_bytes(files[path])
        queue.retry(job, by=world.rights_holder)
        for path in list(files)[: len(files) // 4]:
            path.unlink()  # what was looked at is not read again
        worker.run(str(job.pk))
        release.refresh_from_db()
        assert release.inspection["marked"] == whole["marked"]

    def test_a_cancelled_job_leaves_what_was_found(self, world, release):
        before = inspected(release).inspection
        queue.cancel(order_inspection(release, by=world.rights_holder), by=world.rights_holder)
        release.refresh_from_db()
        assert release.inspection == before
        assert inspection_of(release).name == "failed"


class TestPage:
    def page(self, client, release) -> str:
        return text(client.get(reverse("release_detail", kwargs={"pk": release.pk})))

    def test_the_owner_reads_area_limits_counts_and_seed_or_json_and_nobody_else_sees_it(
        self, world, sign_in, browser, release
    ):
        url = reverse("release_inspection", kwargs={"pk": release.pk})
        assert browser.get(url).status_code == 404
        found = inspected(release).inspection
        assert browser.get(url).json() == {"release": str(release.pk), "root": release.root, **found}
        page = self.page(browser, release)
        assert f"AUC {found['auc']:.2f} ({found['low']:.2f}–{found['high']:.2f})" in page
        assert "40 marked, 40 unmarked of the same groups" in page
        assert "seed 1" in page
        assert "Inspect again" in page
        datasets.grant(release.version.dataset, "gita", by=world.rights_holder)
        for person in (world.auditor, world.legal, world.guest_auditor):
            page = self.page(sign_in(person), release)
            assert "told apart" not in page
            assert "AUC" not in page

    def test_marked_files_that_differ_are_told_apart_by_what_differs_and_the_page_says_so(self, browser, release):
        found = inspected(rewritten(release)).inspection
        assert found["outcome"] == "apart"
        assert "structure: bytes behind the end" in [name for name, _ in found["strongest"]]
        page = self.page(browser, release)
        assert "Marked files can be told apart by structure: AUC " in page
        assert "bytes behind the end" in page
        assert "It shows in how the files are written, too" in page

    def test_it_runs_and_fails_in_sight(self, world, browser, release):
        assert "Inspecting the copy" in self.page(browser, release)
        queue.cancel(job_of(release), by=world.rights_holder)
        page = self.page(browser, release)
        assert "Cancelled by a person." in page
        assert "Inspect the copy" in page
        assert browser.post(reverse("release_inspect", kwargs={"pk": release.pk})).status_code == 302
        assert Job.objects.about(release).filter(kind=KIND).unfinished().count() == 1


class TestCommand:
    def told(self, capsys, *arguments: object) -> dict:
        call_command("inspect_release", *map(str, arguments), "--json")
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    def test_it_inspects_where_nobody_did_and_tells_what_was_found(self, world, release, capsys):
        found = self.told(capsys, release.pk, "--as", "rosa", "--here")
        assert (found["state"], found["marked"]) == ("ready", 40)
        assert "AUC" in found["says"]
        assert self.told(capsys, release.pk, "--as", "rosa") == found
        again = self.told(capsys, release.pk, "--as", "rosa", "--seed", 2, "--most", 20, "--here")
        assert (again["seed"], again["marked"]) == (2, 20)

    def test_it_is_for_rights_holders(self, release, capsys):
        with pytest.raises(SystemExit):
            call_command("inspect_release", str(release.pk), "--as", "adam", "--json")
        assert "rights-holder" in json.loads(capsys.readouterr().out)["error"]
