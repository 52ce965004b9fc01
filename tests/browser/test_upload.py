"""Uploading an archive in the browser: progress, a lost connection, a reload, refusals, and the dataset at the end."""

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from provenance.models import Upload, Version
from tests.provenance.builders_datasets import archive

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def file(tmp_path, settings):
    """An archive that takes about ten pieces."""
    path = tmp_path / "meadows.zip"
    path.write_bytes(archive())
    settings.UPLOAD_CHUNK_BYTES = path.stat().st_size // 10 + 1
    return path


def offsets(page):
    """The offsets of the pieces that the page sends from now on."""
    sent = []

    def note(request):
        if "/chunk/" in request.url:
            sent.append(int(parse_qs(urlsplit(request.url).query)["offset"][0]))

    page.on("request", note)
    return sent


def test_uploading_registering_and_seeing_the_result(world, browser_of, file):
    page = browser_of(world.rights_holder)
    page.goto("/datasets/")
    page.get_by_role("link", name="Register a dataset").first.click()
    page.get_by_label("Name", exact=True).fill("Meadows")
    page.get_by_label("The first folder of each path").check()
    sent = offsets(page)
    page.get_by_label("Archive to upload").set_input_files(file)
    expect(page.get_by_text("meadows.zip is uploaded")).to_be_visible()
    assert len(sent) >= 10
    assert page.get_by_role("progressbar", name="Upload").evaluate("bar => bar.value") == 1
    page.get_by_role("button", name="Register the dataset").click()
    expect(page.get_by_role("heading", name="Version 1")).to_be_visible()
    expect(page.get_by_text("12 images")).to_be_visible()
    picture = page.locator(".gallery img").first
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    page.get_by_role("link", name="Browse the files").click()
    page.get_by_role("link", name="b/2.jpg").click()
    expect(page.get_by_text("holds")).to_be_visible()
    assert page.complaints == []


def test_the_form_waits_for_the_upload_and_then_goes_by_itself(world, browser_of, file):
    page = browser_of(world.rights_holder)
    page.goto("/datasets/new/")
    page.get_by_label("Name", exact=True).fill("Meadows")
    held = []
    page.route("**/chunk/**", lambda route: route.continue_() if held else held.append(route))
    with page.expect_request("**/chunk/**"):
        page.get_by_label("Archive to upload").set_input_files(file)
    page.get_by_role("button", name="Register the dataset").click()
    expect(page.get_by_text("The form is sent as soon as the upload is complete")).to_be_visible()
    held[0].continue_()
    expect(page.get_by_role("heading", name="Version 1")).to_be_visible()
    assert Version.objects.get().state == Version.State.READY


def test_a_lost_connection_is_waited_for(world, browser_of, file):
    page = browser_of(world.rights_holder)
    page.goto("/datasets/new/")
    pieces = iter(range(100))

    def flaky(route):
        if next(pieces) == 3:
            route.abort()
        else:
            route.continue_()

    page.route("**/chunk/**", flaky)
    page.get_by_label("Archive to upload").set_input_files(file)
    expect(page.get_by_text("The connection is interrupted")).to_be_visible()
    expect(page.get_by_text("meadows.zip is uploaded")).to_be_visible()
    assert Upload.objects.get().path.read_bytes() == file.read_bytes()


def test_after_a_reload_the_same_file_goes_on_where_it_was(world, browser_of, file):
    page = browser_of(world.rights_holder)
    page.on("dialog", lambda dialog: dialog.accept())  # leaving in the middle of an upload is asked about
    page.goto("/datasets/new/")
    pieces = iter(range(100))
    page.route("**/chunk/**", lambda route: route.continue_() if next(pieces) < 4 else route.abort())
    page.get_by_label("Archive to upload").set_input_files(file)
    expect(page.get_by_text("The connection is interrupted")).to_be_visible()
    received = Upload.objects.get().received
    assert 0 < received < file.stat().st_size
    page.unroute_all()
    page.reload()
    expect(page.get_by_text("choose the same file again to go on")).to_be_visible()
    sent = offsets(page)
    page.get_by_label("Archive to upload").set_input_files(file)
    expect(page.get_by_text("meadows.zip is uploaded")).to_be_visible()
    assert sent[0] == received
    assert Upload.objects.get().path.read_bytes() == file.read_bytes()


def test_a_finished_upload_can_be_used_later_or_thrown_away(world, browser_of, file):
    page = browser_of(world.rights_holder)
    page.goto("/datasets/new/")
    page.get_by_label("Archive to upload").set_input_files(file)
    expect(page.get_by_text("meadows.zip is uploaded")).to_be_visible()
    page.reload()
    page.get_by_label("Name", exact=True).fill("Meadows")
    page.get_by_role("button", name="Use it").click()
    page.get_by_role("button", name="Register the dataset").click()
    expect(page.get_by_role("heading", name="Version 1")).to_be_visible()
    page.goto("/datasets/new/")
    page.get_by_label("Archive to upload").set_input_files(file)
    expect(page.get_by_text("meadows.zip is uploaded")).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_text("Uploads that wait for you").locator("..").get_by_role("listitem")).to_have_count(0)
    assert not Upload.objects.filter(consumed=False).exists()


def test_a_file_over_the_quota_is_refused_in_words(world, browser_of, file, settings):
    settings.ORGANISATION_QUOTA_BYTES = 1000
    page = browser_of(world.rights_holder)
    page.goto("/datasets/new/")
    page.get_by_label("Archive to upload").set_input_files(file)
    expect(page.get_by_text("Ask the administrator for more room")).to_be_visible()
