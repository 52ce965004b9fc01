"""Datasets and their versions: registering, adding versions, granting."""

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from provenance.errors import TouchmarkError
from provenance.models import Dataset, DatasetGrant, Job, Organisation, Role, Upload, User, Version
from provenance.services import uploads
from provenance.services.access import require
from provenance.services.jobs.queue import enqueue
from provenance.services.log import record


class DatasetError(TouchmarkError):
    """The dataset cannot be registered or changed like this; the sentence says what to do."""


@dataclass(frozen=True)
class VersionSource:
    """What a version is made from: a complete upload, or a folder or archive on the server; and its labels."""

    upload: Upload | None = None
    server_path: str = ""
    labels: Version.Labels = Version.Labels.NONE
    labels_file: str = ""


def server_roots() -> list[Path]:
    """Folders below which people may name files on the server."""
    return list(settings.SERVER_ROOTS)


def resolve_server_path(text: str) -> Path:
    """The real folder or archive that ``text`` names, below an allow-listed root; links are followed before asking."""
    if not server_roots():
        raise DatasetError("No folders on the server are open for registering. The administrator can name some.")
    try:
        path = Path(text.strip()).resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise DatasetError(_not_there(text)) from error
    # One sentence for what is missing and what is outside: nobody learns here what else is on the server.
    if not any(path == root or root in path.parents for root in server_roots()):
        raise DatasetError(_not_there(text))
    if not path.is_dir() and not path.is_file():
        raise DatasetError("This is neither a folder nor an archive.")
    return path


def _not_there(text: str) -> str:
    roots = ", ".join(map(str, server_roots()))
    return f"There is no folder or archive “{text.strip()[:200]}” below the folders that are open here: {roots}."


@transaction.atomic
def register(
    organisation: Organisation,
    *,
    name: str,
    source: VersionSource,
    by: User,
    licence: str = "",
    contact: str = "",
    modality: str = Dataset.Modality.IMAGES,
    description: str = "",
) -> Version:
    """A new dataset with its first version; the job that reads the files is queued."""
    require(by, organisation, Role.RIGHTS_HOLDER)
    dataset = Dataset(
        organisation=organisation,
        name=name.strip(),
        licence=licence,
        contact=contact,
        modality=modality,
        description=description,
        created_by=by,
    )
    if Dataset.objects.filter(organisation=organisation, name=dataset.name).exists():
        raise DatasetError(f"{organisation} has a dataset of this name already. Add a version to it, or name this one.")
    try:
        dataset.full_clean()
    except ValidationError as error:
        raise DatasetError(" ".join(error.messages)) from error
    dataset.save()
    record("dataset.registered", dataset, organisation=organisation, by=by, details={"modality": dataset.modality})
    return add_version(dataset, source, by=by)


@transaction.atomic
def add_version(dataset: Dataset, source: VersionSource, *, by: User) -> Version:
    """A further version of a dataset: earlier ones stay as they are."""
    require(by, dataset.organisation, Role.RIGHTS_HOLDER)
    if source.labels == Version.Labels.CSV and not source.labels_file:
        raise DatasetError("Name the CSV file with the labels, as it is called in the archive or folder.")
    kind, source_name = _checked_source(dataset.organisation, source, by)
    dataset = Dataset.objects.select_for_update().get(pk=dataset.pk)  # numbers are given out one after the other
    last = dataset.versions.aggregate(last=Max("number"))["last"] or 0
    version = Version.objects.create(
        dataset=dataset,
        number=last + 1,
        source=kind,
        source_name=source_name,
        upload=source.upload,
        labels=source.labels,
        labels_file=source.labels_file if source.labels == Version.Labels.CSV else "",
        created_by=by,
    )
    details = {"source": version.get_source_display(), "name": source_name, "labels": version.get_labels_display()}
    record("version.added", version, organisation=dataset.organisation, by=by, details=details)
    version.job = enqueue(
        "dataset.manifest",
        version,
        organisation=dataset.organisation,
        by=by,
        params={"version": str(version.pk)},
    )
    version.save(update_fields=["job"])
    return version


def _checked_source(organisation: Organisation, source: VersionSource, by: User) -> tuple[Version.Source, str]:
    if source.upload and source.server_path:
        raise DatasetError("Choose one source: an upload, or a path on the server.")
    if source.upload:
        if source.upload.organisation_id != organisation.pk:
            raise DatasetError("This file was uploaded for another organisation. Upload it again for this one.")
        uploads.consume(source.upload, by=by)
        return Version.Source.UPLOAD, source.upload.name
    if not source.server_path:
        raise DatasetError("Choose an archive to upload, or name a folder on the server.")
    path = resolve_server_path(source.server_path)
    return (Version.Source.FOLDER if path.is_dir() else Version.Source.ARCHIVE), str(path)


@transaction.atomic
def grant(dataset: Dataset, username: str, *, by: User) -> DatasetGrant:
    """Let an auditor of another organisation plan audits on the dataset."""
    require(by, dataset.organisation, Role.RIGHTS_HOLDER)
    auditor = User.objects.filter(username__iexact=username.strip(), is_active=True).first()
    if auditor is None or not auditor.organisations(Role.AUDITOR).exists():
        raise DatasetError(f"There is no auditor with the user name “{username.strip()[:150]}”.")
    if auditor.has_role(dataset.organisation, Role.AUDITOR):
        raise DatasetError(f"{auditor.display_name} is an auditor of {dataset.organisation} and needs no grant.")
    granted, created = DatasetGrant.objects.get_or_create(dataset=dataset, auditor=auditor, defaults={"granted_by": by})
    if not created:
        raise DatasetError(f"The dataset is granted to {auditor.display_name} already.")
    details = {"auditor": auditor.display_name}
    record("dataset.granted", dataset, organisation=dataset.organisation, by=by, details=details)
    return granted


@transaction.atomic
def revoke(granted: DatasetGrant, *, by: User) -> None:
    """Take a grant back. Audits that were queued before stay."""
    dataset = granted.dataset
    require(by, dataset.organisation, Role.RIGHTS_HOLDER)
    details = {"auditor": granted.auditor.display_name}
    record("dataset.grant_revoked", dataset, organisation=dataset.organisation, by=by, details=details)
    granted.delete()


def mark_version_failed(job: Job) -> None:
    """The end of a manifest job that did not come through; the files read so far are kept for a retry."""
    version = Version.objects.select_related("dataset__organisation").get(pk=job.params["version"])
    Version.objects.filter(pk=version.pk).update(state=Version.State.FAILED)
    organisation = version.dataset.organisation
    record("version.failed", version, organisation=organisation, by=None, details={"reason": job.reason})


@transaction.atomic
def mark_version_ready(version: Version, root: str, facts: dict[str, object]) -> None:
    """Freeze a version: its manifest is whole and its root known."""
    version.state = Version.State.READY
    version.root = root
    version.file_count = int(str(facts["files"]))
    version.refused_count = int(str(facts["refused"]))
    version.total_bytes = int(str(facts["bytes"]))
    version.facts = facts
    version.ready_at = timezone.now()
    version.save()
    record(
        "version.ready",
        version,
        organisation=version.dataset.organisation,
        by=None,
        digests={"manifest_root": root},
        details={"files": version.file_count, "refused": version.refused_count, "bytes": version.total_bytes},
    )
