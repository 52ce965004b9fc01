"""The result page of a release with two mark sets in Chromium: figures of either set, nothing complained about."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import expect

from tests.audits.builders_combined import combined_audit

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_both_sets_are_shown(world, browser_of):
    audit = combined_audit(world)
    page = browser_of(world.auditor)
    page.goto(reverse("audit_detail", args=[audit.pk]))
    expect(page.get_by_role("heading", name="Mark set 1")).to_be_visible()
    page.get_by_role("link", name="Set 2").click()
    expect(page.get_by_role("heading", name="Mark set 2")).to_be_visible()
    for chart in page.query_selector_all("figure[data-chart]"):
        page.wait_for_function("chart => chart.dataset.drawn !== undefined", arg=chart)
    assert page.get_by_role("cell", name="combined by Fisher’s method").is_visible()
    assert page.complaints == []
    found = Axe().run(page).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    page.set_viewport_size({"width": 380, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
