"""A job's card moves by itself, ends by itself, and says so when the server is away."""

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from provenance.models import Job

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def job(world):
    now = timezone.now()
    return Job.objects.create(
        kind="dataset.manifest",
        queue="cpu",
        organisation=world.owner,
        created_by=world.rights_holder,
        subject_type="version",
        subject_id="1",
        subject_label="Meadows, version 1",
        state="running",
        phase="reading files",
        progress_done=100,
        progress_total=400,
        attempt=1,
        worker="celery@a",
        started_at=now,
        heartbeat_at=now,
    )


def test_progress_moves_and_the_end_shows_without_a_reload(world, browser_of, job):
    page = browser_of(world.rights_holder)
    page.goto(f"/jobs/{job.pk}/")
    expect(page.get_by_text("25 %")).to_be_visible()
    Job.objects.filter(pk=job.pk).update(progress_done=300, phase="hashing")
    expect(page.get_by_text("75 %")).to_be_visible()
    expect(page.locator("#announcer")).to_have_text("Reading the files: running, hashing")
    Job.objects.filter(pk=job.pk).update(state="failed", reason="The archive is damaged.", finished_at=timezone.now())
    expect(page.get_by_text("The archive is damaged.")).to_be_visible()
    expect(page.get_by_role("button", name="Run again")).to_be_visible()
    assert page.locator("[hx-trigger]").count() == 0
    assert page.complaints == []


def test_a_server_that_is_away_is_told_of_and_the_card_comes_back(world, browser_of, job):
    page = browser_of(world.rights_holder)
    page.goto(f"/jobs/{job.pk}/")
    page.route("**/card/**", lambda route: route.abort())
    expect(page.locator("[data-lost]")).to_be_visible()
    page.unroute("**/card/**")
    expect(page.locator("[data-lost]")).to_be_hidden()


def test_a_session_that_ended_leads_to_the_sign_in_page(world, browser_of, job):
    page = browser_of(world.rights_holder)
    page.goto(f"/jobs/{job.pk}/")
    page.context.clear_cookies()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.get_by_role("navigation", name="Main").count() == 0
