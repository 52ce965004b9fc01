"""The release form in the browser: its fields follow the family and the way of marking, and the live plan follows."""

import pytest
from playwright.sync_api import expect

from provenance.models import Release
from tests.provenance.builders_releases import marked_version

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_fields_and_the_plan_follow_the_family(world, browser_of):
    version = marked_version(world)
    page = browser_of(world.rights_holder)
    page.goto(f"/releases/new/?version={version.pk}")
    plan = page.locator("#plan")
    expect(plan).to_contain_text("4 of 48")
    page.get_by_text("Advanced settings").click()
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
    page.get_by_role("button", name="Draw, commit and mark").click()
    expect(page.get_by_role("heading", name="Northgate")).to_be_visible()
    settings = Release.objects.get().key.settings
    assert (settings["family"], settings["association"]) == ("blend", "plain")
    assert not page.complaints
