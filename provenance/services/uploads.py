"""Files on their way in from a browser: begun, continued chunk by chunk, finished or thrown away.

The bytes lie in a file of their own; the row says how many of them count. A chunk counts once it is written and the row
moved from exactly its offset, so that repeated, overlapping and interrupted requests leave no gap and no double.
"""

import os
from pathlib import Path

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F, Q, Sum

from provenance.errors import TouchmarkError
from provenance.models import Organisation, Release, Role, Upload, User, Version
from provenance.services.access import require
from provenance.wording import file_size

UPLOADERS = (Role.RIGHTS_HOLDER, Role.AUDITOR)  # datasets and weights


class UploadError(TouchmarkError):
    """The upload cannot begin or go on; the sentence says what to do."""


class WrongOffsetError(UploadError):
    """The chunk does not begin where the upload stands; the browser goes on from ``Upload.received``."""


def used_bytes(organisation: Organisation) -> int:
    """What the organisation's uploads, unpacked versions and releases take. Folders read in place take nothing."""
    versions = Version.objects.filter(dataset__organisation=organisation).exclude(source=Version.Source.FOLDER)
    releases = Release.objects.filter(version__dataset__organisation=organisation)
    uploads = Upload.objects.filter(organisation=organisation).filter(Q(consumed=False) | Q(received__gt=0))
    return (
        (versions.aggregate(total=Sum("total_bytes"))["total"] or 0)
        + (releases.aggregate(total=Sum("total_bytes"))["total"] or 0)
        + (uploads.aggregate(total=Sum("size"))["total"] or 0)
    )


@transaction.atomic
def begin(organisation: Organisation, *, name: str, size: int, fingerprint: str, by: User) -> Upload:
    """A new upload, or the unfinished one of the same file by the same person."""
    require(by, organisation, *UPLOADERS)
    Organisation.objects.select_for_update().get(pk=organisation.pk)  # two begun at once share one quota
    same = Upload.objects.filter(created_by=by, organisation=organisation, consumed=False)
    for earlier in same.filter(name=name[:300], size=size, fingerprint=fingerprint[:200]):
        if earlier.path.exists() or not earlier.received:
            return earlier
    if size <= 0:
        raise UploadError("The file is empty.")
    if size > settings.UPLOAD_MAX_BYTES:
        raise UploadError(
            f"The file has {file_size(size)}; at most {file_size(settings.UPLOAD_MAX_BYTES)} may be uploaded. "
            "Ask the administrator to put it on the server and name its folder instead."
        )
    left = settings.ORGANISATION_QUOTA_BYTES - used_bytes(organisation)
    if size > left:
        raise UploadError(
            f"{organisation} has {file_size(max(left, 0))} left of its {file_size(settings.ORGANISATION_QUOTA_BYTES)}; "
            f"the file has {file_size(size)}. Ask the administrator for more room."
        )
    return Upload.objects.create(
        organisation=organisation, created_by=by, name=name[:300], size=size, fingerprint=fingerprint[:200]
    )


def append(upload: Upload, offset: int, chunk: bytes, *, by: User) -> Upload:
    """Write one chunk. Raises ``WrongOffsetError`` where it does not follow on what is there."""
    _own(upload, by)
    if upload.consumed:
        raise UploadError("This upload was used already.")
    if offset != upload.received:
        raise WrongOffsetError(f"The upload stands at {upload.received} bytes.")
    if not chunk or offset + len(chunk) > upload.size or len(chunk) > settings.UPLOAD_CHUNK_BYTES:
        raise UploadError("This piece does not fit the file that was announced. Choose the file again.")
    _write(upload.path, offset, chunk)
    moved = Upload.objects.filter(pk=upload.pk, received=offset, consumed=False).update(
        received=F("received") + len(chunk)
    )
    upload.refresh_from_db()
    if not moved:
        raise WrongOffsetError(f"The upload stands at {upload.received} bytes.")
    return upload


def _write(path: Path, offset: int, chunk: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            view, at = memoryview(chunk), offset
            while view:
                written = os.pwrite(fd, view, at)
                view, at = view[written:], at + written
            # The last chunk must be on the disk before the file counts as there.
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise UploadError("The server cannot store the file. Tell the administrator.", str(error)) from error


@transaction.atomic
def consume(upload: Upload, *, by: User) -> Path:
    """Take a complete upload for a dataset or for weights, once; the caller owns the file from here on."""
    _own(upload, by)
    if not upload.is_complete or not upload.path.is_file() or upload.path.stat().st_size != upload.size:
        raise UploadError("The upload is not complete yet. Choose the file again to go on with it.")
    if not Upload.objects.filter(pk=upload.pk, consumed=False).update(consumed=True):
        raise UploadError("This upload was used already. Upload the file again.")
    return upload.path


@transaction.atomic
def discard(upload: Upload, *, by: User) -> None:
    """Throw an upload away that nobody used."""
    _own(upload, by)
    if upload.consumed:
        raise UploadError("This upload was used already.")
    path = upload.path
    upload.delete()
    transaction.on_commit(lambda: path.unlink(missing_ok=True))


def remove_file(upload: Upload) -> None:
    """Give the room of a consumed upload back; its name and size stay on record."""
    upload.path.unlink(missing_ok=True)
    Upload.objects.filter(pk=upload.pk, consumed=True).update(received=0)


def unfinished(user: User) -> "list[Upload]":
    """Uploads that the person may go on with."""
    return list(Upload.objects.for_user(user).filter(consumed=False))


def _own(upload: Upload, by: User) -> None:
    if upload.created_by_id != by.pk:
        raise PermissionDenied("Only the person who began an upload may go on with it.")
    require(by, upload.organisation, *UPLOADERS)
