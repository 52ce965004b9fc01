"""Copies in which pictures come in one of two versions: made by form and command, shown to their owner, made again."""

import io
import json
import zipfile
from contextlib import redirect_stdout

import numpy as np
import pytest
from django.core.management import call_command
from django.urls import reverse

from provenance.embedding.errors import EmbeddingError
from provenance.embedding.versions import read_versions
from provenance.marks import MarkSets, SettingsError, VersionsSettings
from provenance.models import LogEntry, Release
from provenance.services import datasets
from provenance.services.inspections import is_inspectable
from provenance.services.keyed_choices import images_in_choice, plan_of_choice
from provenance.services.version_choices import published_versions
from tests.provenance.builders_releases import MARK, MARKS, marked_version
from tests.provenance.builders_withheld import made

pytestmark = pytest.mark.django_db
VERSIONS = MarkSets((VersionsSettings(),))


@pytest.fixture
def version(world):
    return marked_version(world, per_group=12, copies=1)


@pytest.fixture
def browser(world, sign_in):
    return sign_in(world.rights_holder)


def text(response) -> str:
    return " ".join(response.content.decode().split())


def form(version, **changes) -> dict[str, str]:
    return {"version": str(version.pk), "recipients": "Northgate", "home-kind": "versions", **changes}


def nothing() -> None:
    pass


class TestMadeAgain:
    def test_both_versions_of_every_picture_and_which_is_published(self, world, version, tmp_path):
        release = made(world, version, VERSIONS, outlets="")
        chosen, rows = published_versions(release), list(read_versions(release.folder))
        assert len(chosen) == release.facts["versions"]["blocks"] == 48
        assert len(rows) == 96  # each file has an exact copy
        files = chosen.files(tmp_path / "made", nothing)
        assert len(files) == 2 * len(chosen)
        published = {row.sha256: row.written_sha256 for row in rows}
        shas = [sha256 for _, sha256 in files]
        for number, home in enumerate(chosen.home.tolist()):
            there, at_home = shas[2 * number + 1 - home], shas[2 * number + home]
            assert there in published.values()
            assert at_home not in published.values()
        assert sorted(np.unique(chosen.home)) == [0, 1]
        assert images_in_choice(release) == frozenset(range(96))
        assert repr(chosen) == "VersionChoice(<48 pictures>)"

    def test_each_recipient_has_a_choice_of_their_own_among_the_same_versions(self, world, version, tmp_path):
        one, other = (made(world, version, VERSIONS, name, outlets="") for name in ("North", "South"))
        first, second = published_versions(one), published_versions(other)
        versions = [
            {sha for _, sha in made_.files(tmp_path / str(n), nothing)} for n, made_ in enumerate((first, second))
        ]
        assert versions[0] == versions[1]
        homes = [dict(zip(each.positions.tolist(), each.home.tolist(), strict=True)) for each in (first, second)]
        assert homes[0].keys() == homes[1].keys()
        assert homes[0] != homes[1]

    def test_without_claims_too(self, world, version, tmp_path):
        (release,) = _ordered(world, version, drop_claims=True)
        chosen = published_versions(release)
        assert len(chosen) == release.facts["versions"]["blocks"]
        assert len(chosen.files(tmp_path / "made", nothing)) == 2 * len(chosen)

    def test_what_was_changed_since_is_told(self, world, version, tmp_path):
        release = made(world, version, VERSIONS, outlets="")
        chosen = published_versions(release)
        row = next(row for row in read_versions(release.folder) if row.position == chosen.positions[7])
        source = version.files_folder / row.path
        source.write_bytes(source.read_bytes() + b"\0")
        with pytest.raises(EmbeddingError, match="A source file was changed"):
            chosen.files(tmp_path / "made", nothing)
        facts = json.loads((release.folder / "manifest" / "facts.json").read_bytes())
        (release.folder / "manifest" / "facts.json").write_text(json.dumps(facts | {"root": "0" * 64}))
        with pytest.raises(EmbeddingError, match="not the one that is on record"):
            published_versions(release)

    def test_a_release_without_versions_has_none(self, world, version):
        release = made(world, version, MARKS, outlets="")
        with pytest.raises(SettingsError, match="comes in one of two versions"):
            published_versions(release)


def _ordered(world, version, **changes):
    from provenance.services import releases
    from provenance.services.jobs import worker

    made_ = releases.make_releases(version, ["North"], VERSIONS, by=world.rights_holder, **changes)
    for release in made_:
        worker.run(str(release.job_id))
        release.refresh_from_db()
        assert release.state == "ready", release.job.reason
    return made_


class TestForm:
    def test_it_asks_what_was_chosen(self, browser, version):
        page = text(browser.get(reverse("release_new"), {"version": str(version.pk), "home-kind": "versions"}))
        assert "PSNR between a version and its source" in page
        assert "home-outlets" not in page
        assert "set-1-preset" not in page
        beside = text(
            browser.get(reverse("release_new"), {"version": str(version.pk), "home-kind": "marks-and-versions"})
        )
        assert "set-1-preset" in beside
        assert "home-versions_share" in beside

    def test_the_plan_counts_them(self, browser, version):
        plan = text(browser.post(reverse("release_plan"), form(version, **{"home-versions_share": "50"})))
        assert "What would come in two versions" in plan
        assert "48 of 96 images" in plan
        assert "about 34 dB apart" in plan
        assert "Needed to be found" in plan

    def test_it_refuses_what_no_audit_could_test(self, browser, version):
        plan = text(browser.post(reverse("release_plan"), form(version, **{"home-versions_share": "10"})))
        assert "9 images would come in one of two versions, and a test needs 20" in plan
        answer = browser.post(reverse("release_new"), form(version, **{"home-decibels": "60"}))
        assert "less than or equal to 44" in text(answer)

    def test_beside_marks_a_quarter_is_usual(self, world, browser, django_capture_on_commit_callbacks):
        version = marked_version(world, per_group=40)
        mark = {"set-1-preset": "balanced", "set-1-group_by": "class", "set-1-groups": ""}
        filled = form(version, **{"home-kind": "marks-and-versions"}, **mark)
        assert "be marked, and come in two versions" in text(browser.post(reverse("release_plan"), filled))
        with django_capture_on_commit_callbacks(execute=True):
            browser.post(reverse("release_new"), filled)
        release = Release.objects.get()
        assert release.key.mark_sets.versions == VersionsSettings(0.25, 34.0)
        assert release.facts["versions"]["images"] == 40
        assert release.marked_count > 0

    def test_one_click_makes_it(self, browser, version, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            browser.post(reverse("release_new"), form(version))
        release = Release.objects.get()
        assert (release.state, release.outlets, release.marked_count) == ("ready", "", 0)
        shown = text(browser.get(reverse("release_detail", args=[release.pk])))
        assert "All 96 images come in one of two faint versions." in shown
        assert "Can marked files be told apart?" not in shown  # no other file is left to compare with
        assert "96 in one of two versions" in text(browser.get(reverse("release_list")))
        assert "Versions of a picture" in text(browser.get(reverse("key_detail", args=[release.key.pk])))
        logged = LogEntry.objects.get(verb="release.embedded")
        assert logged.details["in one of two versions"] == 96


class TestPages:
    def test_the_owner_sees_the_versions(self, world, browser, version):
        release = made(world, version, MarkSets((VersionsSettings(0.5),)), outlets="")
        seen = set()
        for page in range(1, 7):
            shown = browser.get(reverse("release_versions", args=[release.pk]), {"page": page})
            rows = shown.context["rows"]
            seen |= {row.path for row in rows}
            assert text(shown).count("of 2 ·") == len(rows) == 8
        assert seen == {row.path for row in read_versions(release.folder)}
        picture = browser.get(reverse("release_picture", args=[release.pk, rows[0].position, "difference"]))
        assert picture.headers["Content-Type"] == "image/webp"
        assert "Inspect the copy" in text(browser.get(reverse("release_detail", args=[release.pk])))
        assert is_inspectable(release)

    def test_nobody_else_does(self, world, sign_in, version):
        release = made(world, version, VERSIONS, outlets="")
        datasets.grant(version.dataset, "gita", by=world.rights_holder)
        for person in (world.auditor, world.legal, world.guest_auditor):
            assert sign_in(person).get(reverse("release_versions", args=[release.pk])).status_code == 403
            page = text(sign_in(person).get(reverse("release_detail", args=[release.pk])))
            assert "Two versions" in page
            assert "See the versions" not in page
            assert ".jpg" not in page

    def test_a_copy_without_them_has_no_such_page(self, world, browser, version):
        release = made(world, version, MARKS, outlets="")
        assert browser.get(reverse("release_versions", args=[release.pk])).status_code == 404

    def test_the_download_holds_them(self, world, browser, version):
        release = made(world, version, VERSIONS, outlets="")
        answer = browser.get(reverse("release_download", args=[release.pk]))
        with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as copy:
            assert copy.testzip() is None
            assert len(copy.namelist()) == 96


class TestCommand:
    def run(self, world, version, *options: str) -> dict:
        said = io.StringIO()
        with redirect_stdout(said):
            call_command(
                *("make_release", str(version.pk), "--recipient", "North", "--here", "--json"),
                *("--as", world.rights_holder.username, *options),
                stdout=said,
            )
        return json.loads(said.getvalue())

    def test_versions_alone(self, world, version):
        (facts,) = self.run(world, version, "--preset", "versions", "--decibels", "38")["releases"]
        assert facts["versions"]["blocks"] == 48
        assert facts["marked"] == 0
        assert facts["differs_from_original"] == 96
        assert Release.objects.get().key.mark_sets == MarkSets((VersionsSettings(decibels=38),))

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            (("--decibels", "38"), "is for versions"),
            (("--preset", "versions", "--withhold"), "one keyed choice"),
            (("--preset", "untouched", "--versions"), "one keyed choice"),
            (("--preset", "versions", "--set", "{}"), "a copy of versions alone"),
            (("--preset", "versions", "--versions-share", "0.1"), "a test needs 20"),
        ],
    )
    def test_what_cannot_be_is_refused(self, world, version, options, sentence, capsys):
        with pytest.raises(SystemExit):
            self.run(world, version, *options)
        assert sentence in capsys.readouterr().err
        assert not Release.objects.exists()


def test_a_plan_reserves_images_of_every_group(world, version):
    plan = plan_of_choice(version, MarkSets((MARK, VersionsSettings(0.25))))
    assert plan.wanted == 24
    assert 6 < plan.reserved(24) <= 24
    assert plan_of_choice(version, MARKS) is None
