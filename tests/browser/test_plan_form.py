"""The plan form in the browser: what is said of the references follows suspect, releases and levels."""

import pytest
from playwright.sync_api import expect

from audits.models import Plan
from tests.audits.builders_reports import model, release, version

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def connected(made, **spec):
    made.connection = {"images_per_second": 100.0, "input_shape": [3, 32, 32]}
    made.spec |= spec
    made.save()
    return made


@pytest.fixture
def data(world):
    made = version(world)
    connected(model(world.owner, world.auditor, "resnet-1", "reference"))
    connected(model(world.owner, world.auditor, "features-only", "reference"), returns=["features"])
    release(world, made, "Northgate")
    connected(model(world.owner, world.auditor, "suspect-1"))
    return made


def test_what_is_said_of_references_follows_the_form(world, data, browser_of):
    page = browser_of(world.auditor)
    page.goto("/audits/plans/new/")
    references = page.locator("#reference-choices")
    expect(references).not_to_contain_text("may serve")
    page.get_by_label("Northgate").check()
    page.get_by_label("Suspect").select_option(label="suspect-1 (features, soft, hard)")
    expect(references.get_by_text("may serve")).to_have_count(2)
    page.get_by_label("resnet-1").check()

    page.get_by_label("soft labels").last.check()
    expect(references).to_contain_text("does not return soft labels")
    expect(page.get_by_label("features-only")).to_be_disabled()
    expect(page.get_by_label("resnet-1")).to_be_checked()
    forecast = page.locator("#forecast")
    expect(forecast).to_contain_text("corrected 0.0028")
    page.get_by_label("as many as it takes").check()  # three levels, each without and with the reference: times 7
    expect(forecast).to_contain_text("corrected 0.0097")

    page.get_by_role("button", name="Save the draft").click()
    expect(page.get_by_text("Levels that decide", exact=True)).to_be_visible()
    plan = Plan.objects.get()
    assert plan.primary_levels == ("features", "soft")
    assert [one.name for one in plan.references.all()] == ["resnet-1"]
    # htmx tells the console of requests that a newer one replaced.
    assert not [each for each in page.complaints if not each.startswith("htmx:")]
