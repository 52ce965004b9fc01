"""Uploads: in pieces, interrupted, repeated, too large, and by the wrong person."""

import pytest
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from provenance.models import Upload
from provenance.services import uploads
from tests.provenance.builders_datasets import archive, uploaded

pytestmark = pytest.mark.django_db


def begin(world, size=100, **more):
    about = {"name": "a.zip", "fingerprint": "f", "by": world.rights_holder} | more
    return uploads.begin(world.owner, size=size, **about)


def test_pieces_add_up_to_the_file(world):
    upload = begin(world, size=10)
    for offset in range(0, 10, 5):
        upload = uploads.append(upload, offset, b"01234", by=world.rights_holder)
    assert upload.is_complete
    assert uploads.consume(upload, by=world.rights_holder).read_bytes() == b"0123401234"


def test_a_reload_finds_the_unfinished_upload_of_the_same_file(world):
    upload = begin(world)
    uploads.append(upload, 0, b"x" * 40, by=world.rights_holder)
    again = begin(world)
    assert again.pk == upload.pk
    assert again.received == 40
    assert begin(world, fingerprint="another file").pk != upload.pk
    assert begin(world, by=world.auditor).pk != upload.pk


def test_a_piece_that_comes_twice_counts_once(world):
    upload = begin(world)
    stale = Upload.objects.get(pk=upload.pk)
    uploads.append(upload, 0, b"x" * 40, by=world.rights_holder)
    with pytest.raises(uploads.WrongOffsetError):
        uploads.append(stale, 0, b"x" * 40, by=world.rights_holder)
    assert Upload.objects.get(pk=upload.pk).received == 40


def test_pieces_with_gaps_or_beyond_the_end_are_refused(world, settings):
    upload = begin(world)
    with pytest.raises(uploads.WrongOffsetError):
        uploads.append(upload, 10, b"x", by=world.rights_holder)
    with pytest.raises(uploads.UploadError, match="does not fit"):
        uploads.append(upload, 0, b"x" * 101, by=world.rights_holder)
    settings.UPLOAD_CHUNK_BYTES = 10
    with pytest.raises(uploads.UploadError, match="does not fit"):
        uploads.append(upload, 0, b"x" * 11, by=world.rights_holder)


def test_sizes_and_quota_are_held(world, settings):
    settings.UPLOAD_MAX_BYTES = 1000
    settings.ORGANISATION_QUOTA_BYTES = 1500
    with pytest.raises(uploads.UploadError, match="empty"):
        begin(world, size=0)
    with pytest.raises(uploads.UploadError, match="at most"):
        begin(world, size=1001)
    begin(world, size=900)
    with pytest.raises(uploads.UploadError, match="600 bytes left"):
        begin(world, size=900, fingerprint="second")
    begin(world, size=600, fingerprint="third")


def test_an_upload_serves_once_and_only_when_complete(world):
    upload = begin(world)
    with pytest.raises(uploads.UploadError, match="not complete"):
        uploads.consume(upload, by=world.rights_holder)
    upload = uploads.append(upload, 0, b"x" * 100, by=world.rights_holder)
    uploads.consume(upload, by=world.rights_holder)
    with pytest.raises(uploads.UploadError, match="used already"):
        uploads.consume(Upload.objects.get(pk=upload.pk), by=world.rights_holder)
    uploads.remove_file(upload)
    assert not upload.path.exists()
    assert uploads.used_bytes(world.owner) == 0


def test_nobody_else_touches_an_upload(world):
    upload = begin(world)
    for act in (
        lambda: uploads.append(upload, 0, b"x", by=world.auditor),
        lambda: uploads.discard(upload, by=world.auditor),
    ):
        with pytest.raises(PermissionDenied):
            act()
    with pytest.raises(PermissionDenied):
        begin(world, by=world.legal)


def test_discarding_gives_the_room_back(world, django_capture_on_commit_callbacks):
    upload = uploaded(world.rights_holder, world.owner)
    path = upload.path
    with django_capture_on_commit_callbacks(execute=True):
        uploads.discard(upload, by=world.rights_holder)
    assert not path.exists()
    assert uploads.used_bytes(world.owner) == 0


def test_the_browser_uploads_and_follows_the_server(world, sign_in):
    browser = sign_in(world.rights_holder)
    data = archive()
    about = {"organisation": str(world.owner.pk), "name": "a.zip", "size": len(data), "fingerprint": "x"}
    begun = browser.post(reverse("upload_begin"), about).json()
    url = reverse("upload_chunk", kwargs={"pk": begun["id"]})

    def send(offset, piece):
        return browser.post(f"{url}?offset={offset}", piece, content_type="application/octet-stream")

    assert send(0, data[:1000]).json()["received"] == 1000
    conflict = send(0, data[:1000])
    assert (conflict.status_code, conflict.json()["received"]) == (409, 1000)
    assert browser.get(reverse("upload_state", kwargs={"pk": begun["id"]})).json()["received"] == 1000
    assert browser.post(reverse("upload_begin"), about).json()["received"] == 1000
    assert send(1000, data[1000:]).json()["complete"] is True
    assert "error" in send("nonsense", b"x").json()
    refused = browser.post(reverse("upload_begin"), about | {"size": 10**15})
    assert refused.status_code == 400
    assert "at most" in refused.json()["error"]
