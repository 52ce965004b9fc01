"""Suggested words on the release form: ticked by mouse or keyboard, written by hand, all at once."""

import re

import pytest
from playwright.sync_api import expect

from provenance.models import Job, Release
from provenance.models.people import subject_of
from provenance.services.jobs import worker
from provenance.services.words import KIND
from tests.provenance.builders_releases import marked_version

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_words_are_taken_as_groups(world, browser_of):
    version = marked_version(world)
    page = browser_of(world.rights_holder)
    page.goto(f"/releases/new/?version={version.pk}")
    page.get_by_label("Words: captions that contain").check()
    page.get_by_role("button", name="Count them").click()
    expect(page.get_by_role("button", name="Take these 4 words")).to_be_visible()

    names, bee = page.get_by_label("Names of the groups"), page.get_by_role("checkbox", name="bee")
    names.focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Take these 4 words")).to_be_focused()
    bee.focus()
    page.keyboard.press("Space")
    expect(names).to_have_value("bee")
    names.fill("bee\n my own  word \nCow")
    expect(page.get_by_role("checkbox", name="cow")).to_be_checked()
    bee.uncheck()
    expect(names).to_have_value("my own word\nCow")
    names.fill("")
    expect(page.get_by_role("checkbox", name="cow")).not_to_be_checked()

    page.get_by_role("button", name="Take these 4 words").click()
    expect(names).to_have_value("ant\nbee\ncow\ndog")
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(4)
    expect(page.locator("#plan")).to_contain_text("4 of 48")
    page.get_by_label("Classes: the images").check()
    expect(bee).to_have_count(0)
    page.get_by_label("Words: captions that contain").check()
    expect(bee).to_be_checked()

    page.get_by_label("Recipients").fill("Northgate")
    page.get_by_role("button", name="Draw, commit and make copies").last.click()
    expect(page.get_by_role("heading", name="Northgate")).to_be_visible()
    settings = Release.objects.get().key.settings
    assert (settings["group_by"], settings["groups"]) == ("word", ["ant", "bee", "cow", "dog"])
    assert not page.complaints


def test_while_words_are_counted_the_form_keeps_what_was_filled_in(world, browser_of):
    version = marked_version(world)
    named = subject_of(version)
    job = Job.objects.create(  # a row whose message was lost: jobs that are sent are run at once in tests
        kind=KIND,
        queue="cpu",
        organisation=world.owner,
        created_by=world.rights_holder,
        subject_type=named["type"],
        subject_id=named["id"],
        params={"version": str(version.pk), "count": 10},
    )
    page = browser_of(world.rights_holder)
    page.goto(f"/releases/new/?version={version.pk}")
    page.get_by_label("Recipients").fill("Northgate")
    page.get_by_label("Words: captions that contain").check()
    expect(page.locator("[data-words]")).to_contain_text("are being counted")
    worker.run(str(job.pk))
    expect(page.get_by_role("button", name=re.compile("Take these"))).to_be_visible()
    expect(page.get_by_label("Recipients")).to_have_value("Northgate")
    assert not page.complaints
