"""The form of a training in the browser: a copy is found by its name, and those of another version appear."""

import pytest
from playwright.sync_api import expect

from audits.forms.searched import SHOWN
from tests.audits.builders_reports import release, version

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_copy_is_found_by_its_name_and_stays_chosen(world, browser_of):
    many = version(world)
    for number in range(SHOWN + 10):
        release(world, many, f"House {number:02d}")
    few = version(world, "Few")
    release(world, few, "Northgate")
    page = browser_of(world.auditor)
    page.goto(f"/trainings/new/?version={many.pk}")
    copies = page.locator("#release-choices")
    expect(copies.get_by_label("The copy for")).to_have_count(SHOWN)
    page.get_by_label("Find: Trained on").press_sequentially("house 29")
    expect(copies.get_by_label("The copy for")).to_have_count(1)
    copies.get_by_label("The copy for House 29").check()
    page.get_by_label("Find: Trained on").fill("house 03")
    expect(copies.get_by_label("The copy for")).to_have_count(2)
    expect(copies.get_by_label("The copy for House 29")).to_be_checked()

    page.get_by_label("Few, version 1").check()
    expect(page.get_by_label("The copy for Northgate")).to_be_visible()
    expect(page.get_by_label("The copy for House")).to_have_count(0)
    expect(page.get_by_label("The unmarked images of the version")).to_be_checked()
    page.locator("#version-field").get_by_label(str(many)).check()
    expect(page.get_by_label("The copy for")).to_have_count(SHOWN)
    assert not [each for each in page.complaints if not each.startswith("htmx:")]
