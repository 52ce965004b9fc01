"""The job that reads a version's files, and what pages ask of the manifest it leaves."""

import os
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import transaction

from provenance.intake import thumbnails
from provenance.intake.archives import ArchiveLimits
from provenance.intake.labels import Labels
from provenance.intake.manifest import Manifest
from provenance.intake.take_in import IntakeOptions, take_in
from provenance.models import Version
from provenance.services import overlaps, uploads
from provenance.services.datasets import mark_version_failed, mark_version_ready, resolve_server_path
from provenance.services.jobs.kinds import job_kind
from provenance.services.jobs.running import JobRun
from provenance.services.near_duplicates import enqueue_count
from provenance.services.words import enqueue_words
from provenance.whole_files import write_whole

SAMPLES = 24
SAMPLE_SIZE = 240  # pixels of the longer side
VIEW_SIZE = 960
THUMBNAILS_AT_ONCE = 64


@job_kind("dataset.manifest", title="Reading the files", queue="cpu", ended=mark_version_failed)
def build_manifest(run: JobRun) -> None:
    """Read the version's source once, and freeze the version with its root."""
    version = Version.objects.select_related("dataset__organisation", "upload").get(pk=run.params["version"])
    if version.state == Version.State.READY:  # an earlier attempt got this far
        return
    Version.objects.filter(pk=version.pk).update(state=Version.State.READING)
    left = settings.ORGANISATION_QUOTA_BYTES - uploads.used_bytes(version.dataset.organisation)
    options = IntakeOptions(
        labels=_labels(version),
        processes=len(os.sched_getaffinity(0)),
        archive=ArchiveLimits(total=max(0, left)),
        # An attempt that was taken over sees so at its next block; this one waits for it rather than fail.
        lock_seconds=60,
    )
    taken = take_in(_source(version), version.folder, options, progress=run.progress)
    run.progress(0, 0, "drawing the sample gallery")
    with Manifest(taken.manifest) as manifest:
        _draw_samples(version, manifest)
    run.checkpoint()
    with transaction.atomic():
        mark_version_ready(version, taken.facts["root"], taken.facts)
        enqueue_count(version, by=version.created_by)
        if taken.facts["captioned"]:
            enqueue_words(version, by=version.created_by)
        if version.upload:
            upload = version.upload
            transaction.on_commit(lambda: uploads.remove_file(upload))
    run.progress(0, 0, "comparing it with other versions")
    overlaps.compare(version)


def _source(version: Version) -> Path:
    if version.upload:
        return version.upload.path
    return resolve_server_path(version.source_name)  # asked again: the roots may have changed since


def _labels(version: Version) -> Labels:
    if version.labels == Version.Labels.FOLDER:
        return Labels("folder")
    if version.labels == Version.Labels.LAST_FOLDER:
        return Labels("last_folder")
    if version.labels == Version.Labels.CSV:
        return Labels("csv", csv=version.labels_file)
    return Labels()


def open_manifest(version: Version) -> Manifest:
    """The manifest of a version that is ready; close it, or use it as a context manager."""
    return Manifest(version.manifest_folder)


def sample_indices(files: int, count: int = SAMPLES) -> list[int]:
    """Evenly spaced places in a manifest of ``files`` entries: the same for everybody, every time."""
    count = min(count, files)
    return [(2 * number + 1) * files // (2 * count) for number in range(count)]


def draw_thumbnails(version: Version, indices: list[int]) -> None:
    """Small pictures of these files, drawn at once; those that are there already, and those of no picture, are left."""
    missing = [index for index in indices if not _thumbnail_path(version, index, SAMPLE_SIZE).exists()]
    with open_manifest(version) as manifest:
        for start in range(0, len(missing), THUMBNAILS_AT_ONCE):
            _draw(version, manifest, missing[start : start + THUMBNAILS_AT_ONCE])


def _draw_samples(version: Version, manifest: Manifest) -> None:
    _draw(version, manifest, sample_indices(len(manifest)))


def _draw(version: Version, manifest: Manifest, indices: list[int]) -> None:
    paths = [version.files_folder / manifest.entry(index).path for index in indices]
    for index, picture in zip(indices, thumbnails.draw(paths, SAMPLE_SIZE), strict=True):
        if picture:
            write_whole(_thumbnail_path(version, index, SAMPLE_SIZE), partial(Path.write_bytes, data=picture))


def thumbnail(version: Version, index: int, size: int) -> bytes | None:
    """A small WebP of file ``index``, drawn by a child process the first time; None where it cannot be decoded."""
    stored = _thumbnail_path(version, index, size)
    if stored.exists():
        return stored.read_bytes()
    with open_manifest(version) as manifest:
        path = version.files_folder / manifest.entry(index).path
    (picture,) = thumbnails.draw([path], size)
    if picture:
        write_whole(stored, partial(Path.write_bytes, data=picture))
    return picture


def _thumbnail_path(version: Version, index: int, size: int) -> Path:
    return version.folder / "thumbnails" / f"{index}-{size}.webp"
