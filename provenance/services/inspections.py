"""Whether marked files of a release can be told from others by structure: inspected in a job, kept with the release.

Features name no file, so the result may be shown; which files are marked stays inside the job.
"""

import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from django.db import transaction

from provenance.canonical import canonical_json
from provenance.embedding.at_home import positions_at_home
from provenance.embedding.errors import NotMarkableError
from provenance.embedding.sources import open_source
from provenance.embedding.versions import read_versions
from provenance.errors import TouchmarkError
from provenance.inspection.choosing import Chosen, choose_files
from provenance.inspection.classifier import LEAST, tell_apart
from provenance.inspection.errors import InspectionError
from provenance.inspection.features import ALL_ROOMS, FORM, STRUCTURAL, within
from provenance.intake.claims import claims_of
from provenance.models import Job, Release, Role, User
from provenance.services.access import require
from provenance.services.jobs.kinds import job_kind
from provenance.services.jobs.queue import enqueue
from provenance.services.jobs.running import JobRun
from provenance.services.log import record
from provenance.services.manifests import open_manifest
from provenance.whole_files import write_whole

KIND = "release.inspect"
MOST = 1000  # marked files that are looked at, and as many others
MOST_OF_ALL = 5000
BLOCK = 64  # files; a kill loses at most one block


@dataclass(frozen=True)
class InspectionState:
    """Where a release stands: `name` is "new", "running", "failed" (or cancelled), or "ready".

    `found` is what was found last, even while it is looked at anew; `job` the last job, where there was one.
    """

    name: str
    found: dict[str, Any] | None = None
    job: Job | None = None


def inspection_of(release: Release) -> InspectionState:
    """What the owner's page and command show of a release that is ready."""
    found: dict[str, Any] | None = release.inspection
    job = Job.objects.about(release).filter(kind=KIND).first()
    if job and not job.is_finished:
        return InspectionState("running", found, job)
    if job and job.state != Job.State.DONE:
        return InspectionState("failed", found, job)
    return InspectionState("ready" if found else "new", found, job)


def is_inspectable(release: Release, least: int = LEAST) -> bool:
    """Whether an inspection of a release that is ready could say anything: marked files, or versions and others."""
    versions = release.facts.get("versions", {}).get("images", 0)
    return release.marked_count >= least or min(versions, release.facts["files"] - versions) >= least


@transaction.atomic
def order_inspection(release: Release, *, by: User, seed: int = 1, most: int = MOST) -> Job:
    """Queue it, for the rights-holder; returns the job that is at it already, where there is one."""
    require(by, release.version.dataset.organisation, Role.RIGHTS_HOLDER)
    if release.state != Release.State.READY:
        raise InspectionError("A copy can be inspected once it is made. Wait until the release is ready.")
    if not LEAST <= most <= MOST_OF_ALL:
        raise InspectionError(f"Look at {LEAST} to {MOST_OF_ALL} marked files.")
    if not 0 <= seed < 2**32:
        raise InspectionError("The seed is a whole number from 0 to 4,294,967,295.")
    return enqueue_inspection(release, by=by, seed=seed, most=most)


def enqueue_inspection(release: Release, *, by: User | None, seed: int = 1, most: int = MOST) -> Job:
    """The same without questions: for the job that has just made a release."""
    Release.objects.select_for_update().get(pk=release.pk)  # two orders at once would make two jobs
    running = Job.objects.about(release).filter(kind=KIND).unfinished().first()
    params = {"release": str(release.pk), "seed": seed, "most": most}
    organisation = release.version.dataset.organisation
    return running or enqueue(KIND, release, organisation=organisation, by=by, params=params)


@job_kind(KIND, title="Inspecting the copy", queue="cpu")
def inspect_release(run: JobRun) -> None:
    """Look at the files block by block, then train and test. A second attempt finds the finished blocks in place."""
    release = Release.objects.select_related("version__dataset__organisation", "key").get(pk=run.params["release"])
    seed, most = run.params["seed"], run.params["most"]
    with open_manifest(release.version) as manifest:
        chosen = choose_files(
            manifest, release.key.mark_sets, release.folder / "marked.jsonl", seed, most,
            lambda done, total: run.progress(done, total, "choosing files"), positions_at_home(release.folder),
            _in_versions(release),
        )  # fmt: skip
    work = release.folder / "inspection" / f"{seed}-{most}"
    rows = _rows(run, release.folder / "files", work, chosen)
    run.progress(len(chosen), len(chosen), "training and testing")
    found = _found(rows, seed) | {"most": most}
    run.checkpoint()
    _keep(release, found)
    shutil.rmtree(work.parent, ignore_errors=True)


def _in_versions(release: Release) -> frozenset[int]:
    if release.key.mark_sets.versions is None:
        return frozenset()
    return frozenset(row.position for row in read_versions(release.folder))


def _rows(run: JobRun, files: Path, work: Path, chosen: list[Chosen]) -> list[dict[str, Any]]:
    """Features of every file, from the blocks that an earlier attempt stored where there are any."""
    rows: list[dict[str, Any]] = []
    with ThreadPoolExecutor(max(1, len(os.sched_getaffinity(0))), thread_name_prefix="inspect") as pool:
        for start in range(0, len(chosen), BLOCK):
            run.progress(start, len(chosen), "looking at files")
            stored = work / f"{start:06d}.json"
            if not stored.exists():
                looked_at = pool.map(partial(_look_at, files), chosen[start : start + BLOCK])
                block = canonical_json(list(looked_at))
                write_whole(stored, partial(_write, block))
            rows += json.loads(stored.read_bytes())
    return rows


def _write(block: bytes, draft: Path) -> None:
    draft.write_bytes(block)


def _look_at(files: Path, one: Chosen) -> dict[str, Any]:
    from provenance.inspection.files import file_features, place_features  # loads the compiler

    try:
        data = (files / one.path).read_bytes()
        features = file_features(data) | place_features((files / one.path).stat())
    except OSError as error:  # without its name: whoever reads the reason may not know which files are marked
        raise TouchmarkError("A file of this copy is gone. Make the release anew.") from error
    return {"features": features, "marked": one.marked, "could": one.marked or (not one.small and _could_be(data))}


def _could_be(data: bytes) -> bool:
    """Whether the file could bear a mark at all: it can be written like itself, and claims nothing."""
    if claims_of(data):
        return False
    try:
        open_source(data)
    except NotMarkableError:
        return False
    return True


def _found(rows: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    """By form and bytes, form alone, all rooms; and over files that could bear a mark, where some could not."""
    found = _told_apart(rows, seed, STRUCTURAL)
    found["by_form"] = _told_apart(rows, seed, FORM)
    found["with_pictures"] = _told_apart(rows, seed, ALL_ROOMS)
    markable = [row for row in rows if row["could"]]
    if len(markable) == len(rows):
        return found
    found["unmarkable"] = len(rows) - len(markable)
    if sum(not row["marked"] for row in markable) >= LEAST:
        found["among_markable"] = _told_apart(markable, seed, STRUCTURAL)
    return found


def _told_apart(rows: Sequence[dict[str, Any]], seed: int, rooms: Sequence[str]) -> dict[str, Any]:
    features = [within(row["features"], rooms) for row in rows]
    return tell_apart(features, [row["marked"] for row in rows], seed).to_dict()


@transaction.atomic
def _keep(release: Release, found: dict[str, Any]) -> None:
    Release.objects.filter(pk=release.pk).update(inspection=found)
    record(
        "release.inspected",
        release,
        organisation=release.version.dataset.organisation,
        by=None,
        digests={"release_root": release.root},
        details={name: found[name] for name in ("outcome", "auc", "low", "high", "marked", "others", "seed")},
    )
