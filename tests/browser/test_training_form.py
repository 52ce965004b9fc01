"""The form of a training in the browser: a copy is found by its name, and those of another version appear."""

import re
from contextlib import contextmanager

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


def test_a_copy_chosen_while_the_search_is_on_its_way_stays_chosen(world, browser_of):
    several = version(world)
    for number in range(SHOWN + 10):
        release(world, several, f"House {number:02d}")
    page = browser_of(world.auditor)
    page.goto(f"/trainings/new/?version={several.pk}")
    with answered_late(page, re.compile("release_search=house.+0\\b")):
        page.get_by_label("Find: Trained on").fill("house 0")
        expect(page.locator("input.htmx-request")).to_have_count(1)
        page.get_by_label("The copy for House 03").check()
    expect(page.locator("input.htmx-request")).to_have_count(0)
    expect(page.get_by_label("The copy for House 29")).to_have_count(0)
    expect(page.get_by_label("The copy for House 03")).to_be_checked()


def test_an_architecture_chosen_while_the_search_is_on_its_way_stays_chosen(world, browser_of):
    version(world)
    page = browser_of(world.auditor)
    page.goto("/models/new/")
    page.get_by_label("Find an architecture").fill("resnet18")
    expect(page.get_by_label("timm:resnet18", exact=True)).to_be_visible()
    with answered_late(page, re.compile("architecture_search=resnet1")):
        page.get_by_label("Find an architecture").fill("resnet1")
        expect(page.locator("input.htmx-request")).to_have_count(1)
        page.get_by_label("timm:resnet18", exact=True).check()
    expect(page.locator("input.htmx-request")).to_have_count(0)
    expect(page.get_by_label("timm:resnet10t", exact=True)).to_be_visible()
    expect(page.get_by_label("timm:resnet18", exact=True)).to_be_checked()


@contextmanager
def answered_late(page, pattern):
    """The first request of this pattern is held until the end; those after it are let through."""
    held = []

    def hold_the_first(route):
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route(pattern, hold_the_first)
    yield
    held[0].continue_()
