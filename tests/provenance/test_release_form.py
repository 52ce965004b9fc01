"""The release form with several mark sets: one more, one less, and nothing that was filled in is lost."""

import re
from html import unescape

import pytest
from django.urls import reverse

from provenance.models import Release, WatermarkKey
from tests.provenance.builders_releases import marked_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(world):
    return marked_version(world)


@pytest.fixture
def browser(world, sign_in):
    return sign_in(world.rights_holder)


def text(response) -> str:
    return response.content.decode()


def form(version, *sets: dict[str, str], **common: str) -> dict[str, str]:
    whole = {"version": str(version.pk), "recipients": "Northgate", "note": "", "set_count": str(len(sets)), **common}
    for number, one in enumerate(sets, 1):
        values = {"association": "associated", "family": "patch", "preset": "strong", "group_by": "class", **one}
        whole |= {f"set-{number}-{name}": value for name, value in values.items()}
    return whole


def value(page: str, name: str) -> str:
    """What a field of the page holds."""
    field = re.search(rf'<(input|textarea|select)[^>]*name="{name}"[^>]*?>([^<]*)', page)
    assert field, name
    if field[1] == "textarea":
        return unescape(field[2]).strip()
    return unescape(found[1]) if (found := re.search(r'value="([^"]*)"', field[0])) else ""


def checked(page: str, name: str) -> str:
    radios = re.findall(rf'<input[^>]*name="{name}"[^>]*>', page)
    (one,) = [radio for radio in radios if " checked" in radio]
    return re.search(r'value="([^"]*)"', one)[1]


PATCH = {"share": "20", "opacity": "70", "groups": "ant\nbee\ncow\ndog"}
PLAIN = {"association": "plain", "family": "blend", "share": "10", "amplitude": "9"}


def test_a_set_is_added_and_nothing_is_lost_or_made(browser, version):
    asked = form(version, PATCH, recipients="Northgate\nSouth", note="for tests")
    page = text(browser.post(reverse("release_new"), asked | {"add_set": "1"}))
    assert "Mark set 2" in page
    assert value(page, "set_count") == "2"
    assert (value(page, "recipients"), value(page, "note")) == ("Northgate\nSouth", "for tests")
    assert (value(page, "set-1-share"), value(page, "set-1-opacity")) == ("20", "70")
    assert value(page, "set-1-groups").split() == ["ant", "bee", "cow", "dog"]
    assert checked(page, "set-1-preset") == "strong"
    assert checked(page, "set-2-preset") == "balanced"
    assert "Please correct" not in page
    assert not WatermarkKey.objects.exists()


def test_a_set_is_removed_and_the_others_move_up(browser, version):
    asked = form(version, PATCH, {"family": "warp", "bend": "3"}, PLAIN) | {"remove_set": "2"}
    page = text(browser.post(reverse("release_new"), asked))
    assert value(page, "set_count") == "2"
    assert value(page, "set-1-opacity") == "70"
    assert value(page, "set-2-amplitude") == "9"
    assert checked(page, "set-2-association") == "plain"
    assert "set-3-" not in page
    assert "set-2-bend" not in page


def test_there_are_at_most_four_sets_and_never_none(browser, version):
    four = text(browser.post(reverse("release_new"), form(version, *[PATCH] * 4) | {"add_set": "1"}))
    assert value(four, "set_count") == "4"
    assert 'name="add_set"' not in four
    one = text(browser.post(reverse("release_new"), form(version, PATCH) | {"remove_set": "1"}))
    assert value(one, "set_count") == "1"
    assert 'name="remove_set"' not in one


@pytest.mark.parametrize("count", ["", "0", "-3", "two", "99999999999999999999"])
def test_a_strange_count_is_taken_as_it_can_be(browser, version, count):
    page = text(browser.post(reverse("release_plan"), form(version, PATCH) | {"set_count": count}))
    assert "Mark" in page


def test_the_part_for_scripts_is_the_same_form(browser, version):
    asked = form(version, PATCH) | {"add_set": "1"}
    part = text(browser.post(reverse("release_new"), asked, headers={"hx-request": "true"}))
    assert part.lstrip().startswith('<div class="stack" id="mark-sets"')
    assert value(part, "set-1-share") == "20"
    assert value(part, "set_count") == "2"


def test_a_mistake_in_one_set_keeps_the_other(browser, version):
    wrong = {"groups": "ant\nbee", "share": "12", "opacity": "55"}
    page = text(browser.post(reverse("release_new"), form(version, PATCH, wrong)))
    assert "Mark set 2: Name at least 4 groups" in unescape(page)
    assert value(page, "set-2-opacity") == "55"
    assert value(page, "set-1-opacity") == "70"
    assert not Release.objects.exists()


def test_the_live_plan_shows_every_set(browser, version):
    page = text(browser.post(reverse("release_plan"), form(version, PATCH, PLAIN)))
    assert "8 of 48" in page
    assert "4 of 48" in page
    assert "Fisher" in page
    assert "decoy keys" in page
    assert "Fisher" not in text(browser.post(reverse("release_plan"), form(version, PATCH)))


def test_sets_that_leave_too_little_are_refused(browser, version):
    page = text(browser.post(reverse("release_plan"), form(version, PATCH, PATCH | {"share": "31"})))
    assert "would mark 51% of the images of the group ant" in page
    assert "Fisher" not in page


class TestRestrictions:
    """Patterns exchanged by size, and patterns banned from groups, under the advanced settings."""

    @pytest.fixture
    def uneven(self, world):
        sizes = {"ant": 10, "bee": 12, "cow": 12, "dog": 36, "eel": 36, "fox": 36}
        return marked_version(world, name="Uneven", sizes=sizes)

    def plan(self, browser, version, **changes: str) -> str:
        asked = form(version, {"share": "50", **changes})
        return " ".join(unescape(text(browser.post(reverse("release_plan"), asked))).split())

    def test_groups_of_similar_size_make_a_class(self, browser, uneven):
        assert "2: ant, bee, cow; dog, eel, fox" in self.plan(browser, uneven, by_size="on")
        assert "0.028" in self.plan(browser, uneven, by_size="on")
        assert "Size classes" not in self.plan(browser, uneven)

    def test_a_larger_factor_joins_the_classes(self, browser, uneven):
        joined = self.plan(browser, uneven, by_size="on", size_factor="4")
        assert "Size classes" not in joined
        assert "Smallest reachable p" in joined

    def test_classes_that_leave_too_little_are_refused(self, browser, uneven):
        refused = self.plan(browser, uneven, by_size="on", size_factor="1")
        assert "The smallest p that these size classes and bans allow is 0.083" in refused

    def test_classes_reach_the_key(self, browser, uneven):
        browser.post(reverse("release_new"), form(uneven, {"share": "50", "by_size": "on"}))
        assert Release.objects.get().key.settings["size_classes"] == [0, 0, 0, 1, 1, 1]

    def test_bans_are_counted_and_reach_the_key(self, browser, version):
        assert "Bans" in self.plan(browser, version, forbidden="2: dog", alpha="0.06", share="40")
        browser.post(reverse("release_new"), form(version, PATCH | {"forbidden": "2: dog", "alpha": "0.06"}))
        assert Release.objects.get().key.settings["forbidden"] == [[1, 3]]

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"forbidden": "2: dog"}, "these size classes and bans allow is 0.056, above the alpha of 0.05"),
            ({"forbidden": "cow"}, "A ban is a pattern's number"),
            ({"forbidden": "9: dog"}, "count from 1 to 4, not 9"),
            ({"forbidden": "\n".join(f"{n}: dog" for n in (1, 2, 3, 4))}, "No assignment respects what is forbidden"),
            ({"by_size": "on", "size_factor": "0.5"}, "greater than or equal to 1"),
        ],
    )
    def test_what_cannot_be_is_refused_with_a_reason(self, browser, version, changes, sentence):
        page = unescape(text(browser.post(reverse("release_new"), form(version, PATCH | changes))))
        assert sentence in page
        assert not Release.objects.exists()

    def test_plain_marks_have_none_of_these(self, browser, version):
        page = text(browser.post(reverse("release_new"), form(version, PLAIN), headers={"hx-request": "true"}))
        assert not any(f'name="set-1-{name}"' in page for name in ("by_size", "size_factor", "forbidden"))
