"""The style guide in Chromium: charts under the policy, light and dark, accessibility, narrow screens."""

import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = [
    pytest.mark.browser,
    pytest.mark.urls("tests.browser.urls_with_styleguide"),
    pytest.mark.django_db(transaction=True),
]


def serious(page):
    found = Axe().run(page).response["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]


def wait_for_charts(page):
    for chart in ("histogram", "bars", "heatmap"):
        page.wait_for_selector(f'figure[data-chart="{chart}-figure"][data-drawn] svg.main-svg')


def bar_colour(page):
    return page.evaluate("getComputedStyle(document.querySelector('#histogram .point path')).fill")


def test_charts_draw_under_the_policy_and_follow_the_theme(world, browser_of):
    page = browser_of(world.rights_holder, color_scheme="light")
    page.goto("/styleguide/")
    wait_for_charts(page)
    light = bar_colour(page)
    page.get_by_role("button", name="Colours: system").click()
    page.get_by_role("button", name="Colours: light").click()
    page.wait_for_function(
        "before => getComputedStyle(document.querySelector('#histogram .point path')).fill !== before", arg=light
    )
    assert page.complaints == []
    page.reload()
    assert page.get_attribute("html", "data-theme") == "dark"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(world, browser_of, scheme):
    page = browser_of(world.rights_holder, color_scheme=scheme)
    page.goto("/styleguide/")
    wait_for_charts(page)
    assert serious(page) == []
    page.goto("/")
    assert serious(page) == []


def test_narrow_screens_scroll_one_way_only(world, browser_of):
    page = browser_of(world.rights_holder)
    page.set_viewport_size({"width": 380, "height": 800})
    page.goto("/styleguide/")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert not page.get_by_role("link", name="Overview").is_visible()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Overview").click()
    page.wait_for_url("**/")


def test_a_confirmation_opens_by_keyboard_and_closes_by_escape(world, browser_of):
    page = browser_of(world.rights_holder)
    page.goto("/styleguide/")
    page.get_by_role("button", name="Drop the key").first.focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("dialog", name="Drop this key?").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog", name="Drop this key?").is_visible()


def test_the_first_tab_stop_skips_to_the_content(world, browser_of):
    page = browser_of(world.rights_holder)
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#content"
