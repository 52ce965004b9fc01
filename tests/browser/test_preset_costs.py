"""What presets cost, on the release form: measured by a job meanwhile, and following what is chosen."""

import pytest
from playwright.sync_api import expect

from tests.provenance.builders_releases import marked_version

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_costs_follow_the_form(world, browser_of):
    version = marked_version(world)
    page = browser_of(world.rights_holder)
    page.goto(f"/releases/new/?version={version.pk}")
    costs = page.get_by_role("region", name="What the strengths cost and bring")
    expect(page.get_by_text("measured on 24 images of this version")).to_be_visible()
    expect(costs.get_by_role("columnheader", name="Balanced (chosen)")).to_be_visible()
    expect(costs.get_by_role("row", name="Marked images")).to_contain_text("844")  # 8, 4 and 4 of 48
    expect(costs.get_by_role("row", name="PSNR, mean")).to_contain_text("dB")

    page.get_by_text("Advanced settings").press("Enter")
    page.get_by_label("Share of images").fill("50")
    expect(costs.get_by_role("row", name="Marked images")).to_contain_text("242424")
    page.get_by_label("Opacity").fill("45")
    page.get_by_role("button", name="Measure it on a few images").click()
    expect(page.get_by_text("measured on 24 images of this version")).to_be_visible()

    page.get_by_label("Family of marks").select_option("warp")
    page.get_by_label("Strong: Pixels moved").check()
    expect(costs.get_by_role("columnheader", name="Strong (chosen)")).to_be_visible()
    assert not page.complaints
