"""A pilot's page in Chromium: the chart is drawn, follows the level, and leads to its trainings and to a release."""

import pytest
from playwright.sync_api import expect

from tests.audits.builders_pilots import finished

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_page_of_a_pilot_shows_cost_against_evidence_and_leads_on(world, browser_of):
    pilot = finished(world)
    page = browser_of(world.rights_holder)
    page.goto(f"/pilots/{pilot.pk}/")
    chart = page.locator('figure[data-chart="trade-off-chart-figure"][data-drawn]')
    expect(chart.locator(".scatterlayer .point")).to_have_count(2)
    expect(chart.locator(".textpoint text").first).to_have_text("Strong patch")
    expect(page.locator('figure[data-chart="auc-figure"][data-drawn]')).to_be_visible()
    page.get_by_role("link", name="Hard labels").click()
    page.wait_for_url("**level=hard*")
    expect(chart).to_contain_text("Every point is one of the settings, judged by hard labels")

    page.get_by_role("link", name="SimCLR, 5 % at home, key 2").click()
    expect(page.get_by_role("heading", name="SimCLR, 5 % at home, key 2")).to_be_visible()
    expect(page.get_by_role("row", name="features")).to_contain_text("10⁻⁶")
    page.go_back()

    page.get_by_role("link", name="Use “Strong patch” for a release").click()
    page.wait_for_url("**/releases/new/**")
    expect(page.get_by_label("Share of images")).to_have_value("10")
    assert page.complaints == []
