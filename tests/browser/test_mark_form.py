"""The release form in the browser: fields and live plan follow family and way of marking; several mark sets."""

import os
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from provenance.marks import MarkSets, MarkSettings
from provenance.models import Release
from provenance.services import releases
from provenance.services.jobs import worker
from tests.provenance.builders_releases import MARK, kept_clusters, marked_version
from tests.provenance.test_release_claims import claiming_version

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LONG = 60_000  # milliseconds: the job runs inside the request here, on a machine that may be busy


def look(page: Page, name: str) -> None:
    """Nothing serious for axe and no sideways scroll, in light, dark and on a narrow screen; pictures if asked for."""
    for kind, scheme, width in (("light", "light", 1280), ("dark", "dark", 1280), ("narrow", "light", 380)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(200)
        found = [f for f in Axe().run(page).response["violations"] if f["impact"] in ("serious", "critical")]
        assert not found, [(f["id"], f["nodes"][0]["html"]) for f in found]
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        if folder := os.environ.get("TOUCHMARK_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{name}-{kind}.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})
    assert not page.complaints


def test_the_fields_and_the_plan_follow_the_family(world, browser_of):
    version = marked_version(world)
    page = browser_of(world.rights_holder)
    page.goto(f"/releases/new/?version={version.pk}")
    plan = page.locator("#plan")
    expect(plan).to_contain_text("4 of 48")
    page.get_by_text("Advanced settings").press("Enter")
    page.get_by_label("Opacity").fill("50")
    expect(plan).to_contain_text("opacity 50")

    page.get_by_label("Family of marks").select_option("blend")
    expect(page.get_by_label("Amplitude")).to_be_attached()
    expect(page.get_by_label("Opacity")).to_have_count(0)
    expect(plan).to_contain_text("8 grey levels")

    page.get_by_label("Plain: one secret pattern").check()
    expect(page.get_by_label("Names of the groups")).to_have_count(0)
    expect(page.get_by_label("Family of marks")).to_have_value("blend")
    expect(plan).to_contain_text("all images")
    expect(plan).to_contain_text("decoy keys")

    page.get_by_label("Recipients").fill("Northgate")
    page.get_by_role("button", name="Draw, commit and make copies").click()
    expect(page.get_by_role("heading", name="Northgate")).to_be_visible(timeout=LONG)
    settings = Release.objects.get().key.settings
    assert (settings["family"], settings["association"]) == ("blend", "plain")
    assert not page.complaints


def test_mark_sets_are_added_and_removed_without_losing_what_was_filled_in(world, browser_of):
    version = marked_version(world, per_group=40)
    page = browser_of(world.rights_holder)
    page.goto(f"/releases/new/?version={version.pk}")
    plan = page.locator("#plan")
    page.get_by_label("Recipients").fill("Northgate")
    names = page.get_by_label("Names of the groups")
    names.fill("ant\nbee\ncow\ndog")
    names.evaluate("field => { field.style.height = '9rem'; }")  # what dragging its corner does
    page.get_by_role("button", name="Add a mark set").click()
    second = page.get_by_role("group", name="Mark set 2")
    expect(second).to_be_visible()
    assert not page.complaints
    expect(page.get_by_label("Recipients")).to_have_value("Northgate")
    expect(plan).to_contain_text("Fisher")

    second.get_by_label("Plain: one secret pattern").check()
    expect(second.get_by_label("Names of the groups")).to_have_count(0)
    second.get_by_label("Family of marks").select_option("blend")
    expect(plan).to_contain_text("decoy keys")
    first = page.get_by_role("group", name="Mark set 1")
    expect(first.get_by_label("Names of the groups")).to_have_value("ant\nbee\ncow\ndog")
    first.get_by_text("Advanced settings").press("Enter")
    first.get_by_label("Share of images").fill("45")
    expect(plan).to_contain_text("would mark 55% of the images of the group ant")
    first.get_by_label("Share of images").fill("20")
    expect(plan).to_contain_text("32 of 160")
    look(page, "mark-sets-form")

    page.get_by_role("button", name="Add a mark set").click()
    expect(page.get_by_role("group", name="Mark set 3")).to_be_visible()
    expect(first.get_by_label("Share of images")).to_have_value("20")
    page.get_by_role("button", name="Remove mark set 3").click()
    expect(page.get_by_role("group", name="Mark set 3")).to_have_count(0)
    expect(second.get_by_label("Family of marks")).to_have_value("blend")

    page.get_by_label("Recipients").press("Tab")
    page.get_by_role("button", name="Draw, commit and make copies").click()
    expect(page.get_by_role("heading", name="Northgate")).to_be_visible(timeout=LONG)
    first_set, second_set = Release.objects.get().key.mark_sets
    assert (first_set.family, first_set.share) == ("patch", 0.2)
    assert (second_set.family, second_set.association) == ("blend", "plain")
    assert not page.complaints


def test_what_is_filled_in_while_an_answer_is_on_its_way_stays(world, browser_of):
    version = marked_version(world, per_group=40)
    page = browser_of(world.rights_holder)
    page.goto(f"/releases/new/?version={version.pk}")
    page.get_by_role("button", name="Add a mark set").click()
    first, second = (page.get_by_role("group", name=f"Mark set {number}") for number in (1, 2))
    expect(second).to_be_visible()
    held = []
    page.route("**/releases/new/", lambda route: held.append(route))
    first.get_by_label("Family of marks").select_option("warp")
    second.get_by_text("Advanced settings").press("Enter")  # a click misses where costs appear above it meanwhile
    second.get_by_label("Share of images").fill("35")
    second.get_by_label("Strong:").check()
    second.get_by_label("Exchange patterns only").check()
    held[0].continue_()
    page.unroute("**/releases/new/")
    expect(first.get_by_label("Bend")).to_be_attached()
    expect(second.get_by_label("Share of images")).to_have_value("35")
    expect(second.get_by_label("Strong:")).to_be_checked()
    expect(second.get_by_label("Exchange patterns only")).to_be_checked()
    expect(page.locator("#plan")).to_contain_text("56 of 160")
    assert not page.complaints


def test_clusters_follow_the_grouping_and_the_version(world, browser_of):
    bare, version = marked_version(world, name="Bare"), marked_version(world, per_group=24)
    found = kept_clusters(world, version)
    page = browser_of(world.rights_holder)
    page.goto(f"/releases/new/?version={version.pk}")
    page.get_by_role("button", name="Add a mark set").click()
    first, second = (page.get_by_role("group", name=f"Mark set {number}") for number in (1, 2))
    expect(second).to_be_visible()
    expect(page.get_by_label("Clusters", exact=True)).to_have_count(0)
    second.get_by_label("Clusters: what an encoder").check()
    expect(second.get_by_label("Clusters", exact=True)).to_have_value(str(found.pk))
    expect(first.get_by_label("Clusters", exact=True)).to_have_count(0)
    expect(page.locator("#plan")).to_contain_text("cluster 6")
    look(page, "clusters-form")
    page.get_by_label("Version", exact=True).select_option(str(bare.pk))
    expect(second).to_contain_text("This version has no clusters yet")
    page.get_by_label("Version", exact=True).select_option(str(version.pk))
    expect(second.get_by_label("Clusters", exact=True)).to_have_value(str(found.pk))
    second.get_by_label("Words: captions").check()
    expect(page.get_by_label("Clusters", exact=True)).to_have_count(0)
    assert not page.complaints


def test_the_keyboard_stays_where_it_was_when_the_form_is_drawn_anew(world, browser_of):
    version = marked_version(world)
    page = browser_of(world.rights_holder)
    page.goto(f"/releases/new/?version={version.pk}")
    held: list = []
    page.route("**/releases/new/", lambda route: held.append(route))
    page.get_by_label("Family of marks").select_option("blend")
    page.get_by_text("Advanced settings").focus()
    held[0].continue_()
    page.unroute("**/releases/new/")
    expect(page.get_by_label("Amplitude")).to_be_attached()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Share of images")).to_be_visible()
    page.get_by_role("button", name="Add a mark set").press("Enter")
    expect(page.get_by_role("group", name="Mark set 2")).to_be_visible()
    expect(page.get_by_role("button", name="Add a mark set")).to_be_focused()
    assert not page.complaints


def test_mark_sets_work_without_scripts(world, browser_of):
    version = marked_version(world)
    page = browser_of(world.rights_holder, java_script_enabled=False)
    page.goto(f"/releases/new/?version={version.pk}")
    page.get_by_label("Recipients").fill("Northgate")
    page.get_by_label("Names of the groups").fill("ant\nbee\ncow\ndog")
    page.get_by_role("button", name="Add a mark set").click()
    second = page.get_by_role("group", name="Mark set 2")
    second.get_by_label("Family of marks").select_option("warp")
    page.get_by_role("button", name="Draw, commit and make copies").click()
    expect(page.get_by_role("heading", name="Northgate")).to_be_visible(timeout=LONG)
    first_set, second_set = Release.objects.get().key.mark_sets
    assert first_set.groups == ("ant", "bee", "cow", "dog")
    assert second_set.family == "warp"


def test_the_pages_of_a_release_with_several_sets(world, browser_of):
    version = marked_version(world, per_group=40)
    sized = MARK.replace(share=0.1, size_classes=(0, 0, 1, 1), forbidden=((0, 1),))
    marks = MarkSets((MARK, MarkSettings(association="plain", family="blend", amplitude=16.0), sized))
    (release,) = releases.make_releases(version, ["Northgate"], marks, by=world.rights_holder)
    worker.run(str(release.job_id))
    page = browser_of(world.rights_holder)
    for name, path in (("release", ""), ("gallery", "gallery/")):
        page.goto(f"/releases/{release.pk}/{path}")
        # Which sets the first images of the gallery bear is up to the key.
        expect(page.get_by_text(re.compile(r"mark set \d", re.IGNORECASE)).first).to_be_visible()
        for chart in page.query_selector_all("figure[data-chart]"):
            page.wait_for_function("chart => chart.dataset.drawn !== undefined", arg=chart)
        look(page, f"mark-sets-{name}")
    page.goto(f"/keys/{release.key_id}/")
    look(page, "mark-sets-key")


def test_the_plan_says_what_becomes_of_images_that_carry_claims(world, browser_of, tmp_path):
    version = claiming_version(world, tmp_path / "credited")
    page = browser_of(world.rights_holder)
    page.goto(f"/releases/new/?version={version.pk}")
    plan = page.locator("#plan")
    expect(plan).to_contain_text("they stay unmarked unless it is dropped from all files of the copy")
    expect(plan).to_contain_text("16: content credentials (C2PA)")
    page.get_by_label("Drop content credentials").check()
    expect(plan).to_contain_text("it is dropped from all files of the copy")
    look(page, "claims")
    page.get_by_label("Mark them like all others").check()
    page.get_by_label("Recipients").fill("Northgate")
    page.get_by_role("button", name="Draw, commit and make copies").click()
    expect(page.get_by_role("heading", name="Northgate")).to_be_visible(timeout=LONG)
    expect(page.get_by_text("what 16 files carried that marking would make false")).to_be_visible(timeout=LONG)
    assert Release.objects.get().drop_claims
    assert not page.complaints
