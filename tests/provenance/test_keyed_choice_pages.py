"""What stays home in the browser's eyes: blocks on the version's page, the release form, the copy's page, the owner."""

import io
import json
import zipfile

import pytest
from django.urls import reverse

from provenance.marks import MarkSets, WithheldSettings
from provenance.models import Release
from provenance.services import datasets
from tests.provenance.builders_releases import MARK, marked_version
from tests.provenance.builders_withheld import blocked, made, withheld

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(world):
    return marked_version(world, per_group=30)


@pytest.fixture
def browser(world, sign_in):
    return sign_in(world.rights_holder)


def text(response) -> str:
    return " ".join(response.content.decode().split())


def form(version, **changes) -> dict[str, str]:
    common = {"version": str(version.pk), "recipients": "Northgate", "home-kind": "untouched", "home-share": "20"}
    return {**common, "home-blocking": str(version.blockings.first().pk), "home-outlets": "kept", **changes}


class TestBlocks:
    def test_the_version_page_makes_and_lists_them(self, browser, version, django_capture_on_commit_callbacks):
        page = reverse("version_detail", args=[version.pk])
        assert "Make blocks" in text(browser.get(page))
        with django_capture_on_commit_callbacks(execute=True):
            browser.post(reverse("version_blocks", args=[version.pk]), {"block_size": "3", "distance": "31"})
        row = version.blockings.get()
        shown = text(browser.get(page))
        assert "3 a block, near-duplicates within 31 bits" in shown
        assert row.digest in shown

    def test_a_rule_that_cannot_be_is_told(self, browser, version):
        for values in (
            {"block_size": "1", "distance": "31"},
            {"block_size": "4", "distance": "31", "unit_column": "x"},
        ):
            answer = browser.post(reverse("version_blocks", args=[version.pk]), values, follow=True)
            assert (
                "at least 2" in text(answer) or "greater than or equal to 2" in text(answer) or "No CSV" in text(answer)
            )
        assert not version.blockings.exists()

    def test_what_is_wrong_names_its_field_and_the_form_keeps_what_was_entered(self, browser, version):
        place = reverse("version_blocks", args=[version.pk])
        refused = browser.post(place, {"block_size": "1", "distance": "", "folder_level": "7"})
        assert refused.status_code == 422
        answer = text(refused)
        assert "Ensure this value is greater than or equal to 2." in answer
        assert "This field is required." in answer
        assert 'name="folder_level" value="7"' in answer
        late = browser.post(place, {"block_size": "4", "distance": "30", "unit_column": "x"})
        assert late.status_code == 422
        assert 'name="unit_column" value="x"' in text(late)
        assert 'name="distance" value="30"' in text(late)

    def test_others_may_not(self, world, sign_in, version):
        datasets.grant(version.dataset, "gita", by=world.rights_holder)
        for person in (world.auditor, world.legal, world.guest_auditor):
            answer = sign_in(person).post(
                reverse("version_blocks", args=[version.pk]), {"block_size": "4", "distance": "31"}
            )
            assert answer.status_code == 403
        assert sign_in(world.outsider).post(reverse("version_blocks", args=[version.pk])).status_code == 404


class TestForm:
    def test_it_asks_only_what_was_chosen(self, world, browser, version):
        page = text(browser.get(reverse("release_new"), {"version": str(version.pk)}))
        assert "home-kind" in page
        assert "home-outlets" not in page
        bare = browser.get(reverse("release_new"), {"version": str(version.pk), "home-kind": "both"})
        assert "not in blocks yet" in text(bare)
        blocked(world, version)
        both = text(browser.get(reverse("release_new"), {"version": str(version.pk), "home-kind": "both"}))
        assert "kept from every other outlet" in both
        assert "set-1-preset" in both
        alone = text(browser.get(reverse("release_new"), {"version": str(version.pk), "home-kind": "untouched"}))
        assert "Draw, commit and make copies</button>" in alone  # nothing of it is marked
        assert "and mark</button>" not in alone
        assert "set-1-preset" not in alone

    def test_the_plan_counts_blocks_units_and_images_at_home(self, world, browser, version):
        blocked(world, version)
        plan = text(browser.post(reverse("release_plan"), form(version)))
        assert "What would stay home" in plan
        assert "24 of 120 images" in plan
        assert "24 of 28, with 4 alternatives each" in plan
        assert "Needed to be found" in plan
        assert "Marked images" not in plan
        limited = text(browser.post(reverse("release_plan"), form(version, **{"home-share": "25"})))
        assert "28 of 120 images" in limited

    def test_it_refuses_what_no_audit_could_test(self, world, browser, version):
        blocked(world, version)
        plan = text(browser.post(reverse("release_plan"), form(version, **{"home-share": "5"})))
        assert "a test needs 20" in plan
        assert "A share of 0.17 would use 20" in plan

    def test_one_click_makes_it_and_the_answer_is_asked_for(
        self, world, browser, version, django_capture_on_commit_callbacks
    ):
        blocked(world, version)
        refused = browser.post(reverse("release_new"), form(version, **{"home-outlets": ""}))
        assert refused.status_code == 200
        assert "This field is required" in text(refused)
        with django_capture_on_commit_callbacks(execute=True):
            answer = browser.post(reverse("release_new"), form(version))
        release = Release.objects.get()
        assert answer.status_code == 302
        assert (release.state, release.outlets, release.marked_count) == ("ready", "kept", 0)
        assert release.key.mark_sets.withheld == WithheldSettings(version.blockings.get().digest, 4, 0.2)
        shown = text(browser.get(reverse("release_detail", args=[release.pk])))
        assert "24 images stay home; all that are in this copy are byte for byte the original." in shown
        assert "kept from every other outlet" in shown
        assert "24 at home" in text(browser.get(reverse("release_list")))

    def test_four_struck_sets_leave_no_room_for_a_withheld_one(self, world, browser, version):
        blocked(world, version)
        mark = {"preset": "balanced", "group_by": "class", "groups": ""}
        sets = {f"set-{number}-{name}": value for number in (1, 2, 3, 4) for name, value in mark.items()}
        filled = form(version, **{"home-kind": "both", "set_count": "4"}, **sets)
        assert "between 1 and 4 mark sets" in text(browser.post(reverse("release_new"), filled))
        assert "between 1 and 4 mark sets" in text(browser.post(reverse("release_plan"), filled))

    def test_an_untouched_copy_drops_no_claims(self, world, browser, version):
        blocked(world, version)
        answer = browser.post(reverse("release_new"), form(version, drop_claims="on"))
        assert "No file of an untouched copy is changed" in text(answer)


class TestCopy:
    @pytest.fixture
    def release(self, world, version):
        marks = MarkSets((MARK.replace(share=0.1), withheld(blocked(world, version, block_size=2), 0.17)))
        return made(world, version, marks, outlets="unknown")

    def test_the_owner_sees_what_stays_home(self, browser, release):
        home = {json.loads(line)["path"] for line in (release.folder / "home.jsonl").read_bytes().splitlines()}
        seen = set()
        for page in (1, 2, 3):
            shown = browser.get(reverse("release_home", args=[release.pk]), {"page": page})
            units = [unit for block in shown.context["blocks"] for unit in block.units]
            assert text(shown).count("at home</span>") >= sum(unit.is_home for unit in units)
            seen |= {unit.path for unit in units if unit.is_home}
            assert sum(unit.is_home for unit in units) * 2 == len(units)
        assert seen == home

    def test_nobody_else_does(self, world, sign_in, release):
        datasets.grant(release.version.dataset, "gita", by=world.rights_holder)
        for person in (world.auditor, world.legal, world.guest_auditor):
            assert sign_in(person).get(reverse("release_home", args=[release.pk])).status_code == 403
            page = text(sign_in(person).get(reverse("release_detail", args=[release.pk])))
            assert "What stays home" in page
            assert "See what stays home" not in page
            assert ".jpg" not in page
        assert sign_in(world.outsider).get(reverse("release_home", args=[release.pk])).status_code == 404

    def test_a_copy_of_all_images_has_no_such_page(self, world, browser, version):
        release = made(world, version, MarkSets((MARK,)), outlets="")
        assert browser.get(reverse("release_home", args=[release.pk])).status_code == 404

    def test_the_page_says_both(self, browser, release):
        page = text(browser.get(reverse("release_detail", args=[release.pk])))
        assert "20 images stay home." in page
        assert "not known" in page
        assert "accuses nobody" in page
        assert "The original has 20 images that this copy lacks" in page

    def test_the_download_lacks_it(self, browser, release):
        answer = browser.get(reverse("release_download", args=[release.pk]))
        with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as copy:
            assert copy.testzip() is None
            names = {name.split("/", 1)[1] for name in copy.namelist()}
        home = {json.loads(line)["path"] for line in (release.folder / "home.jsonl").read_bytes().splitlines()}
        assert len(names) == 100
        assert not names & home
