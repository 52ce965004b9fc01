"""Every page of the permission table in Chromium: a silent console, nothing serious for axe, no sideways scroll."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.http import HttpResponseBase
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page

from tests.browser.conftest import attended, let_answer
from tests.permissions.access import Access
from tests.permissions.test_permissions import access_table
from tests.world import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# What is fetched but no page: parts of pages, files, JSON.
NO_PAGES = {
    "architecture_search",
    "audit_json",
    "calibration_cost",
    "calibration_json",
    "clustering_forecast",
    "health",
    "job_card",
    "log_check",
    "plan_forecast",
    "plan_json",
    "pilot_curves",
    "pilot_json",
    "plan_references",
    "release_download",
    "release_inspection",
    "release_picture",
    "release_plan",
    "release_words",
    "report_json",
    "report_pdf",
    "robustness_cost",
    "robustness_json",
    "training_choices",
    "training_curve",
    "upload_state",
    "version_image",
    "version_proof",
}
PAGES = sorted({name for name, access in access_table().items() if access.method == "get"} - NO_PAGES)


@pytest.fixture(scope="module")
def window(chromium, live_server) -> Iterator[Page]:
    """One for all pages: it loads styles and scripts once, as it does for people."""
    context = chromium.new_context(base_url=live_server.url)
    yield attended(context.new_page())
    context.close()


@pytest.fixture
def page(window) -> Iterator[Page]:
    window.set_viewport_size({"width": 1280, "height": 900})
    window.complaints.clear()
    yield window
    let_answer(window)
    window.goto("about:blank")  # nothing asks on while the database is emptied
    window.context.clear_cookies()


def visitor(world: World, access: Access, sign_in) -> Client:
    """Of a public page nobody in particular: the sign-in page sends everybody else on."""
    if access.public:
        return Client()
    return sign_in(getattr(world, next(who for who in World.PEOPLE if who in access.allowed)))


def is_page(answer: HttpResponseBase) -> bool:
    if answer.status_code != 200 or not answer.get("Content-Type", "").startswith("text/html"):
        return False
    return answer.content.lstrip().startswith(b"<!doctype html")


@pytest.mark.parametrize("name", sorted(NO_PAGES))
def test_what_is_no_page_is_none(name, sign_in):
    world, access = World(), access_table()[name]
    assert not is_page(visitor(world, access, sign_in).get(reverse(name, kwargs=access.kwargs(world))))


@pytest.mark.parametrize("name", PAGES)
def test_page(name, sign_in, page, live_server):
    access = access_table()[name]
    world = World()
    url = reverse(name, kwargs=access.kwargs(world))
    browser = visitor(world, access, sign_in)
    assert is_page(browser.get(url))
    if not access.public:
        session = browser.cookies["sessionid"].value
        page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page.goto(url)
    for chart in page.query_selector_all("figure[data-chart]"):
        page.wait_for_function("chart => chart.dataset.drawn !== undefined", arg=chart)
    assert page.complaints == []
    found = Axe().run(page).response["violations"]
    serious = [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]
    assert serious == []
    page.set_viewport_size({"width": 380, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
