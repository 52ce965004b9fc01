"""Sign-in, roles and refusals as people meet them in a browser."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def sign_in_by_form(page, username, password):
    page.goto("/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_signing_in_and_out(world, browser_of):
    page = browser_of(None)
    sign_in_by_form(page, "lena", "not her password")
    expect(page.get_by_role("alert")).to_contain_text("correct username and password")
    sign_in_by_form(page, "lena", "lena long password")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/log/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_changing_a_password(world, browser_of):
    page = browser_of(world.legal)
    page.goto("/password/")
    page.get_by_label("Old password").fill("lena long password")
    page.get_by_label("New password", exact=True).fill("short")
    page.get_by_label("New password confirmation").fill("short")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_label("New password confirmation")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Old password").fill("lena long password")
    page.get_by_label("New password", exact=True).fill("heron over the weir")
    page.get_by_label("New password confirmation").fill("heron over the weir")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    world.legal.refresh_from_db()
    assert world.legal.check_password("heron over the weir")


def test_a_new_member_is_added_and_signs_in(world, browser_of):
    page = browser_of(world.administrator)
    page.goto("/")
    page.get_by_role("link", name="People").click()
    page.get_by_role("link", name="Add a member").click()
    page.get_by_label("Username").fill("nora")
    page.get_by_label("Full name").fill("Nora Quist")
    page.get_by_label("auditor:").check()
    page.get_by_role("button", name="Add the member").click()
    password = page.locator("[data-copy]").get_attribute("data-copy")
    other = browser_of(None)
    sign_in_by_form(other, "nora", password)
    expect(other.get_by_text("Nora Quist")).to_be_visible()
    assert page.complaints == []


def test_an_outsider_is_refused_in_words(world, browser_of):
    page = browser_of(world.outsider)
    page.goto(f"/people/{world.owner.pk}/members/new/")
    expect(page.get_by_role("heading", name="There is nothing here for you to see")).to_be_visible()
    page = browser_of(world.auditor)
    page.goto("/people/")
    expect(page.get_by_text("Only an administrator may see who is a member.")).to_be_visible()
