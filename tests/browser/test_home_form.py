"""What stays home in the browser: blocks, the form that follows what is chosen, the copy's page, the gallery."""

import pytest
from playwright.sync_api import expect

from provenance.models import Release
from tests.browser.test_mark_form import LONG, look
from tests.provenance.builders_releases import marked_version

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_from_blocks_to_an_untouched_copy(world, browser_of):
    version = marked_version(world, per_group=30)
    page = browser_of(world.rights_holder)
    page.goto(f"/releases/new/?version={version.pk}")
    page.get_by_label("Untouched: no image is changed").check()
    expect(page.get_by_text("not in blocks yet")).to_be_visible()
    expect(page.get_by_label("Family of marks")).to_have_count(0)

    page.get_by_role("link", name="Make blocks").click()
    page.get_by_role("button", name="Make blocks").click()
    expect(page.get_by_role("rowheader", name="4 a block, near-duplicates within 31 bits")).to_be_visible(timeout=LONG)
    look(page, "blocks")

    page.goto(f"/releases/new/?version={version.pk}")
    page.get_by_label("Both: marks in some images").check()
    expect(page.get_by_label("Family of marks")).to_be_attached()
    page.get_by_label("Untouched: no image is changed").check()
    expect(page.get_by_label("Family of marks")).to_have_count(0)
    plan = page.locator("#plan")
    page.get_by_label("Yes: nobody outside the house").check()
    expect(plan).to_contain_text("a test needs 20")
    page.get_by_label("Share of all images that stays home").fill("20")
    expect(plan).to_contain_text("24 of 120 images")
    page.get_by_label("Recipients").fill("Northgate")
    look(page, "home-form")

    page.get_by_role("button", name="Draw, commit and make copies").click()
    expect(page.get_by_role("heading", name="Northgate")).to_be_visible(timeout=LONG)
    expect(page.get_by_text("24 images stay home; all that are in this copy")).to_be_visible()
    look(page, "home-release")
    page.get_by_role("link", name="See what stays home").click()
    expect(page.get_by_text("at home", exact=True).first).to_be_visible()
    look(page, "home-gallery")
    assert Release.objects.get().facts["withheld"]["images_at_home"] == 24


def test_a_copy_in_two_versions(world, browser_of):
    version = marked_version(world, per_group=12)
    page = browser_of(world.rights_holder)
    page.goto(f"/releases/new/?version={version.pk}")
    page.get_by_label("Versions: pictures come in one of two").check()
    expect(page.get_by_label("Family of marks")).to_have_count(0)
    plan = page.locator("#plan")
    expect(plan).to_contain_text("48 of 48 images")
    page.get_by_label("Share of the images that come in one of two versions").fill("10")
    expect(plan).to_contain_text("a test needs 20")
    page.get_by_label("Share of the images that come in one of two versions").fill("50")
    expect(plan).to_contain_text("24 of 48 images")
    page.get_by_label("Recipients").fill("Northgate")
    look(page, "versions-form")

    page.get_by_role("button", name="Draw, commit and").last.click()
    expect(page.get_by_role("heading", name="Northgate")).to_be_visible(timeout=LONG)
    expect(page.get_by_text("24 of the 48 images come in one of two faint versions")).to_be_visible()
    look(page, "versions-release")
    page.get_by_role("link", name="See the versions").click()
    expect(page.get_by_text("Published", exact=True)).to_have_count(8)
    look(page, "versions-gallery")
    assert Release.objects.get().facts["versions"]["images"] == 24


def test_a_choice_made_while_the_form_changes_is_heard(world, browser_of):
    """New fields listen from the moment they stand there; htmx by itself lets 20 ms pass."""
    version = marked_version(world)
    page = browser_of(world.rights_holder)
    page.goto(f"/releases/new/?version={version.pk}")
    page.evaluate(
        """() => new MutationObserver((_, observer) => {
            const chosen = document.querySelector("input[name=home-kind]:checked");
            if (!chosen || chosen.value !== "both") return;
            observer.disconnect();
            document.querySelector("input[name=home-kind][value=untouched]").click();
        }).observe(document.getElementById("release-form"), {childList: true, subtree: true})"""
    )
    page.get_by_label("Both: marks in some images").click()  # and not check(), for it may be unchecked again at once
    expect(page.get_by_text("not in blocks yet")).to_be_visible()
    expect(page.get_by_label("Untouched: no image is changed")).to_be_checked()
    expect(page.get_by_label("Family of marks")).to_have_count(0)
