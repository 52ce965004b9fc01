"""Near-duplicates of a version: counted once in a job of their own, shown, and left out of marking if so chosen."""

import os
import shutil
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import transaction

from provenance.errors import TouchmarkError
from provenance.intake.manifest import Manifest
from provenance.marks import MarkSets
from provenance.marks.copies import NO_NEAR_DUPLICATE, read_near_duplicates, write_near_duplicates
from provenance.models import Job, Role, User, Version
from provenance.near_duplicates.finding import Found, find_near_duplicates
from provenance.near_duplicates.grouping import DISTANCE
from provenance.services.access import require
from provenance.services.jobs.kinds import job_kind
from provenance.services.jobs.queue import enqueue
from provenance.services.jobs.running import JobRun
from provenance.services.log import record

KIND = "version.near_duplicates"
LEAVE_OUT, MARK = "leave_out", "mark"  # what a person chooses for them
SHOWN_GROUPS, SHOWN_IMAGES = 6, 4


class NearDuplicatesError(TouchmarkError):
    """The near-duplicates cannot be counted, or left out, like this; the sentence says what to do."""


@dataclass(frozen=True)
class NearDuplicatesState:
    """Where a version stands with its near-duplicates.

    `name`: "new" (never counted), "counting", "failed" (or cancelled), "ready". `found` is what was counted last;
    `job` the last job, where there was one.
    """

    name: str
    found: dict[str, Any] | None = None
    job: Job | None = None


def near_duplicates_of(version: Version) -> NearDuplicatesState:
    """What pages and commands show of a version that is ready."""
    found: dict[str, Any] | None = version.near_duplicates
    job = Job.objects.about(version).filter(kind=KIND).first()
    if found is not None:
        return NearDuplicatesState("ready", found, job)
    if job and not job.is_finished:
        return NearDuplicatesState("counting", None, job)
    return NearDuplicatesState("failed" if job else "new", None, job)


@transaction.atomic
def order_count(version: Version, *, by: User) -> Job:
    """Queue the counting, for the rights-holder; returns the job that is at it already, where there is one."""
    require(by, version.dataset.organisation, Role.RIGHTS_HOLDER)
    if version.state != Version.State.READY:
        raise NearDuplicatesError("The files of this version have not been read yet.")
    if version.near_duplicates is not None:
        raise NearDuplicatesError("The near-duplicates of this version have been counted already.")
    return enqueue_count(version, by=by)


def enqueue_count(version: Version, *, by: User | None) -> Job:
    """The same without questions: for the job that has just read a version."""
    Version.objects.select_for_update().get(pk=version.pk)  # two orders at once would make two jobs
    running = Job.objects.about(version).filter(kind=KIND).unfinished().first()
    return running or enqueue(
        KIND, version, organisation=version.dataset.organisation, by=by, params={"version": str(version.pk)}
    )


def leaving_out(version: Version, marks: MarkSets) -> MarkSets:
    """The same marks on images without a near-duplicate alone. Raises NearDuplicatesError where none were counted.

    Near-duplicates stay home or go out together; that is the business of blocks.
    """
    if not marks.struck:
        return marks
    state = near_duplicates_of(version)
    if state.found is None:
        raise NearDuplicatesError(_NOT_COUNTED[state.name])
    return marks.replace_in_struck(near_duplicates=state.found["digest"]) if state.found["images"] else marks


_OTHERWISE = "or choose to mark near-duplicates like all other images."
_NOT_COUNTED = {
    "new": f"The near-duplicates of this version have not been counted. Have them counted on its page, {_OTHERWISE}",
    "counting": f"The near-duplicates of this version are being counted. Wait for that job, {_OTHERWISE}",
    "failed": "The near-duplicates of this version could not be counted; its page says why. Have them counted again, "
    f"{_OTHERWISE}",
}


@job_kind(KIND, title="Looking for near-duplicates", queue="cpu")
def count(run: JobRun) -> None:
    """Hashes block by block, then groups; a second attempt resumes at the block."""
    version = Version.objects.select_related("dataset__organisation").get(pk=run.params["version"])
    if version.near_duplicates is not None:  # an earlier attempt got this far
        return
    work = version.folder / "near_duplicates" / "work"
    with Manifest(version.manifest_folder) as manifest:
        workers = max(1, len(os.sched_getaffinity(0)))
        found = find_near_duplicates(manifest, version.files_folder, work, run.progress, workers)
        labels = Counter(entry.label for entry, group in zip(manifest, found.group_of, strict=True) if group >= 0)
    run.checkpoint()
    _keep(version, found, {label: images for label, images in labels.items() if label is not None})
    shutil.rmtree(work)


@transaction.atomic
def _keep(version: Version, found: Found, labels: dict[str, int]) -> None:
    """Puts the groups into the version's folder and their numbers into its row; says so in the log.

    labels: how many images of each label have a near-duplicate.
    """
    digest = write_near_duplicates(version.folder, found.group_of)
    counted = {"images": found.images, "groups": found.groups, "flat": found.flat, "unread": found.unread}
    version.near_duplicates = {**counted, "labels": labels, "digest": digest, "distance": DISTANCE}
    Version.objects.filter(pk=version.pk).update(near_duplicates=version.near_duplicates)
    record(
        "version.near_duplicates_counted",
        version,
        organisation=version.dataset.organisation,
        by=None,
        digests={"near_duplicates": digest, "manifest_root": version.root},
        details=counted,
    )


def samples(version: Version) -> list[list[int]]:
    """Positions of a few members of the first few groups."""
    found = version.near_duplicates
    if found is None or not found["images"]:
        return []
    group_of = read_near_duplicates(version.folder, found["digest"])
    shown = np.flatnonzero((group_of != NO_NEAR_DUPLICATE) & (group_of < SHOWN_GROUPS))
    groups = [shown[group_of[shown] == group] for group in range(SHOWN_GROUPS)]
    return [members[:SHOWN_IMAGES].tolist() for members in groups if len(members)]
