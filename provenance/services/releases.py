"""Releases: one marked copy of a version for one recipient, each with a key of its own."""

import hashlib
from collections.abc import Sequence
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from provenance.canonical import canonical_json
from provenance.embedding.release import embed_release
from provenance.errors import TouchmarkError
from provenance.intake.manifest import Manifest
from provenance.marks import ALL_IMAGES, GroupPlan, MarkSettings, plan_groups
from provenance.marks.groups import plan_from_counts
from provenance.models import Job, Release, Role, User, Version, WatermarkKey
from provenance.services import jobs, keys
from provenance.services.access import require
from provenance.services.jobs import JobRun, job_kind
from provenance.services.log import record
from provenance.services.manifests import open_manifest

MAX_RECIPIENTS = 50
MAX_CLASSES = 16  # every group costs an audit as many queries as there are probes
PLAN_SECONDS = 600


class ReleaseError(TouchmarkError):
    """The release cannot be made like this; the sentence says what to change."""


def default_classes(version: Version) -> list[str]:
    """The classes with the most images, by name; all of them where there are few."""
    labels: dict[str, int] = version.facts.get("labels", {})
    largest = sorted(labels, key=lambda name: (-labels[name], name))[:MAX_CLASSES]
    return sorted(largest)


def plan_of(version: Version, mark: MarkSettings) -> GroupPlan:
    """What these settings would mark in a version; plain marks have one group, of all images."""
    if not mark.is_plain:
        return plan(version, mark.group_by, mark.groups, mark.share)
    _check_ready(version)
    return plan_from_counts((ALL_IMAGES,), [version.file_count], mark.share)


def plan(version: Version, group_by: str, groups: Sequence[str], share: float) -> GroupPlan:
    """How many images each group has and would get marked: from the facts for classes, from captions for words."""
    _check_ready(version)
    if group_by == "class":
        labels: dict[str, int] = version.facts.get("labels", {})
        counts = [labels.get(name, 0) for name in groups]
        return plan_from_counts(groups, counts, share, version.file_count - sum(counts))
    words = tuple(groups)
    name = f"word-counts/{version.pk}/{hashlib.sha256(canonical_json(words)).hexdigest()}"
    found = cache.get(name)
    if not found:
        with open_manifest(version) as manifest:
            whole = plan_groups(manifest, group_by, words, 1.0)
        found = ([group.images for group in whole.groups], whole.outside, whole.ambiguous)
        cache.set(name, found, PLAN_SECONDS)
    return plan_from_counts(words, found[0], share, found[1], found[2])


def _check_ready(version: Version) -> None:
    if version.state != Version.State.READY:
        raise ReleaseError("The files of this version have not been read yet.")


@transaction.atomic
def make_releases(
    version: Version,
    recipients: Sequence[str],
    mark: MarkSettings,
    *,
    by: User,
    note: str = "",
    key: WatermarkKey | None = None,
) -> list[Release]:
    """One release per recipient: draw (or take) a key, commit to it, queue the embedding. The beacon comes in the job.

    Args:
        key: a key drawn before for this version; only with a single recipient.
    """
    require(by, version.dataset.organisation, Role.RIGHTS_HOLDER)
    names = _checked_recipients(recipients)
    planned = plan_of(version, mark)
    if empty := [group.name for group in planned.groups if not group.images]:
        raise ReleaseError(f"No image belongs to the group {', '.join(empty[:5])}. Choose other groups.")
    if key is not None:
        if len(names) != 1:
            raise ReleaseError("A key marks one release. Name one recipient, or let a key be drawn for each.")
        if key.version_id != version.pk:
            raise ReleaseError("This key was drawn for another version.")
    return [_make(version, name, mark, key or keys.draw(version, by=by), note, by) for name in names]


def _make(version: Version, recipient: str, mark: MarkSettings, key: WatermarkKey, note: str, by: User) -> Release:
    keys.commit(key, mark, by=by)
    release = Release.objects.create(version=version, key=key, recipient=recipient, note=note, created_by=by)
    organisation = version.dataset.organisation
    record(
        "release.ordered",
        release,
        organisation=organisation,
        by=by,
        digests={"commitment": key.commitment},
        details={"recipient": recipient},
    )
    params = {"release": str(release.pk)}
    release.job = jobs.enqueue("release.embed", release, organisation=organisation, by=by, params=params)
    release.save(update_fields=["job"])
    return release


def _checked_recipients(recipients: Sequence[str]) -> list[str]:
    names = [" ".join(name.split()) for name in recipients if name.strip()]
    if not names:
        raise ReleaseError("Name at least one recipient.")
    if len(names) > MAX_RECIPIENTS:
        raise ReleaseError(f"At most {MAX_RECIPIENTS} releases can be made at once.")
    if len({name.casefold() for name in names}) != len(names):
        raise ReleaseError("Name each recipient only once.")
    if long := [name for name in names if len(name) > 200]:
        raise ReleaseError(f"The name of a recipient has at most 200 characters: {long[0][:40]}… is longer.")
    return names


def mark_release_failed(job: Job) -> None:
    """The end of an embedding job that did not come through; finished blocks are kept for a retry."""
    release = Release.objects.select_related("version__dataset__organisation").get(pk=job.params["release"])
    if Release.objects.filter(pk=release.pk, state=Release.State.EMBEDDING).update(state=Release.State.FAILED):
        organisation = release.version.dataset.organisation
        record("release.failed", release, organisation=organisation, by=None, details={"reason": job.reason})


@job_kind("release.embed", queue="cpu", ended=mark_release_failed)
def embed(run: JobRun) -> None:
    """Record the beacon, derive, embed. A second attempt finds the beacon and the finished blocks in place."""
    release = Release.objects.select_related("version__dataset__organisation", "key__version__dataset").get(
        pk=run.params["release"]
    )
    if release.state == Release.State.READY:  # an earlier attempt got this far
        return
    Release.objects.filter(pk=release.pk).update(state=Release.State.EMBEDDING)
    version = release.version
    key = keys.record_beacon(release.key)
    secret = keys.open_secret(key)
    with open_manifest(version) as manifest:
        _check_root(manifest, version)
        facts = embed_release(
            manifest,
            version.files_folder,
            release.folder,
            secret,
            secret.settings,
            run.progress,  # raises where a person cancelled the job
            lambda: False,
            owned=version.source != Version.Source.FOLDER,
        )
    run.checkpoint()
    _finish(release, key, facts)


def _check_root(manifest: Manifest, version: Version) -> None:
    if manifest.root != version.root:
        raise ReleaseError("The manifest on disk is not the one that this version was registered with.")


@transaction.atomic
def _finish(release: Release, key: WatermarkKey, facts: dict[str, Any]) -> None:
    release.state = Release.State.READY
    release.root = facts["root"]
    release.marked_count = facts["marked"]
    release.total_bytes = facts["bytes"]
    release.facts = facts
    release.ready_at = timezone.now()
    release.save()
    WatermarkKey.objects.filter(pk=key.pk, state=WatermarkKey.State.COMMITTED).update(state=WatermarkKey.State.EMBEDDED)
    record(
        "release.embedded",
        release,
        organisation=release.version.dataset.organisation,
        by=None,
        digests={"release_root": release.root, "commitment": key.commitment, "beacon": key.beacon},
        details={"recipient": release.recipient, "files": facts["files"], "marked": facts["marked"]},
    )


@transaction.atomic
def note_download(release: Release, *, by: User) -> None:
    """A copy leaves the house."""
    record(
        "release.downloaded",
        release,
        organisation=release.version.dataset.organisation,
        by=by,
        digests={"release_root": release.root},
        details={"recipient": release.recipient},
    )
