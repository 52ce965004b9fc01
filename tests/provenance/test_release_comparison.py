"""Exact copies in a release, and what laying a copy beside the original or beside another copy shows to its owner."""

import hashlib
import json
from collections import defaultdict

import pytest
from django.core.management import call_command
from django.urls import reverse

from provenance.models import LogEntry
from provenance.services import datasets, releases
from provenance.services.jobs import worker
from provenance.services.release_comparison import MOST_OTHERS, compared
from provenance.services.release_report import set_reports
from provenance.services.releases import missing_marks
from tests.provenance.builders_releases import MARKS, marked_version, ready_release

pytestmark = pytest.mark.django_db


def digests(release) -> dict[str, str]:
    files = release.folder / "files"
    return {
        str(path.relative_to(files)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files.rglob("*")
        if path.is_file()
    }


def originals(version) -> dict[str, str]:
    root = version.files_folder
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def text(response) -> str:
    return " ".join(response.content.decode().split())


class TestCopies:
    @pytest.fixture
    def release(self, world):
        return ready_release(world, marked_version(world, copies=1))

    def test_no_marked_file_has_an_unmarked_copy(self, release):
        before, after = originals(release.version), digests(release)
        changed = {path for path in before if before[path] != after[path]}
        assert len(changed) == release.marked_count > 0
        assert not {before[path] for path in changed} & set(after.values())
        by_content = defaultdict(set)
        for path in changed:
            by_content[after[path]].add(path)
        assert {len(paths) for paths in by_content.values()} == {2}

    def test_no_mark_is_missing_where_copies_fill_more_than_was_wanted(self, world):
        """Of 26 images in each group 5 are wanted; pairs make 6 of them, and fill no other group's place."""
        release = ready_release(world, marked_version(world, per_group=13, copies=1))
        (report,) = set_reports(release)
        assert (report.wanted, report.marked, report.unfilled) == (20, 24, 0)
        assert LogEntry.objects.get(verb="release.embedded").details["missing"] == 0
        release.facts["groups"][0]["marked"] = 2
        assert report.unfilled == missing_marks(release.facts) == 3

    def test_the_rule_is_committed_where_there_are_copies_and_nowhere_else(self, world, release):
        assert release.key.settings["copies"] == "alike"
        other = ready_release(world, marked_version(world, name="Fields"))
        assert "copies" not in other.key.settings

    def test_the_page_says_so(self, world, release, sign_in):
        page = text(sign_in(world.rights_holder).get(reverse("release_detail", args=[release.pk])))
        assert "chosen and marked as one picture" in page


class TestComparison:
    @pytest.fixture
    def version(self, world):
        return marked_version(world)

    def test_it_counts_what_differs(self, world, version):
        one, two = (ready_release(world, version, name) for name in ("North", "South"))
        found = compared(one)
        before, first, second = originals(version), digests(one), digests(two)
        assert found.original == sum(before[path] != first[path] for path in before) == one.marked_count
        assert [(other.release, other.differ) for other in found.others] == [
            (two, sum(first[path] != second[path] for path in first))
        ]
        assert found.others[0].differ > max(one.marked_count, two.marked_count) * 0.9
        assert found.more == 0

    def test_other_versions_and_unfinished_copies_are_none_of_it(self, world, version):
        one = ready_release(world, version)
        ready_release(world, marked_version(world, name="Fields"))
        releases.make_releases(version, ["South"], MARKS, by=world.rights_holder)
        assert compared(one).others == []

    def test_many_copies_are_counted_and_the_newest_listed(self, world, version, monkeypatch):
        from provenance.services import release_comparison

        monkeypatch.setattr(release_comparison, "MOST_OTHERS", 1)
        assert MOST_OTHERS > 1
        one, _, three = (ready_release(world, version, name) for name in ("North", "South", "West"))
        found = compared(one)
        assert [other.release for other in found.others] == [three]
        assert found.more == 1

    def test_the_owner_reads_it_on_the_page_and_nobody_else(self, world, version, sign_in):
        one = ready_release(world, version, "North")
        ready_release(world, version, "South")
        url = reverse("release_detail", args=[one.pk])
        page = text(sign_in(world.rights_holder).get(url))
        found = compared(one)
        assert f"beside the original sees {found.original} images differ" in page
        assert f"South</a>, {found.others[0].differ} images" in page
        datasets.grant(version.dataset, "gita", by=world.rights_holder)
        for person in (world.auditor, world.legal, world.guest_auditor):
            assert "beside the original" not in text(sign_in(person).get(url))

    def test_the_command_tells_it(self, world, version, capsys):
        one = ready_release(world, version, "North")
        call_command("make_release", str(version.pk), "--as", "rosa", "--recipient", "South", "--here", "--json")
        (made,) = json.loads(capsys.readouterr().out.splitlines()[-1])["releases"]
        assert made["differs_from_original"] == made["marked"]
        assert list(made["differs_from"]) == [str(one.pk)]

    def test_it_says_the_same_after_another_attempt(self, world, version):
        one = ready_release(world, version)
        worker.run(str(one.job_id))
        assert compared(one).original == one.marked_count
