"""Releases: one marked copy of a version for one recipient, each with a key of its own."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from provenance.embedding.at_home import AtHome
from provenance.embedding.beside import BesideFile
from provenance.embedding.release import embed_release
from provenance.inspection.classifier import LEAST
from provenance.intake.blocks import ANY_CLAIM
from provenance.intake.manifest import Manifest
from provenance.intake.take_in import LABELS_KEPT
from provenance.marks import MarkSets
from provenance.marks.settings import COPIES_ALIKE, MANY_SPARES
from provenance.models import Job, Release, Role, User, Version, WatermarkKey
from provenance.services import keys
from provenance.services.access import require
from provenance.services.inspections import enqueue_inspection
from provenance.services.jobs.kinds import job_kind
from provenance.services.jobs.queue import enqueue
from provenance.services.jobs.running import JobRun
from provenance.services.keyed_choices import blocks_and_choice
from provenance.services.log import record
from provenance.services.manifests import open_manifest
from provenance.services.release_plans import ReleaseError, plan_sets
from provenance.services.release_report import missing_in

MAX_RECIPIENTS = 50


@transaction.atomic
def make_releases(
    version: Version,
    recipients: Sequence[str],
    marks: MarkSets,
    *,
    by: User,
    note: str = "",
    key: WatermarkKey | None = None,
    drop_claims: bool = False,
    outlets: str = "",
) -> list[Release]:
    """One release per recipient: draw (or take) a key, commit to it, queue the embedding. The beacon comes in the job.

    Args:
        key: a key drawn before for this version; only with a single recipient.
        drop_claims: drop content credentials, gain maps and further pictures from all files of the copies, so that the
            images that carry them can be marked.
        outlets: of Release.Outlets; must be said where something stays home.
    """
    require(by, version.dataset.organisation, Role.RIGHTS_HOLDER)
    names = _checked_recipients(recipients)
    if version.facts.get("duplicates", {}).get("copies"):
        marks = marks.replace_in_struck(copies=COPIES_ALIKE)
    _check_outlets(marks, outlets)
    if drop_claims and not marks.struck and not marks.versions:
        raise ReleaseError("No file of an untouched copy is changed: leave claims where they are, or strike marks too.")
    for planned in plan_sets(version, marks):
        if empty := [group.name for group in planned.groups if not group.images]:
            raise ReleaseError(f"No image belongs to the group {', '.join(empty[:5])}. Choose other groups.")
        if alike := [group.name for group in planned.groups if not group.marked]:
            raise ReleaseError(
                f"Every image of the group {', '.join(alike[:5])} has a near-duplicate, and these are left out. "
                "Choose other groups, or mark near-duplicates too."
            )
    if key is not None:
        if len(names) != 1:
            raise ReleaseError("A key marks one release. Name one recipient, or let a key be drawn for each.")
        if key.version_id != version.pk:
            raise ReleaseError("This key was drawn for another version.")
    marks = marks.replace_in_struck(spares=MANY_SPARES)
    common = {"version": version, "note": note, "drop_claims": drop_claims, "outlets": outlets}
    orders = [Release(recipient=name, **common) for name in names]
    return [_make(order, marks, key or keys.draw(version, by=by), by) for order in orders]


def _make(release: Release, marks: MarkSets, key: WatermarkKey, by: User) -> Release:
    keys.commit(key, marks, by=by)
    release.key, release.created_by = key, by
    release.save(force_insert=True)
    version = release.version
    organisation = version.dataset.organisation
    record(
        "release.ordered",
        release,
        organisation=organisation,
        by=by,
        digests={"commitment": key.commitment},
        details={
            "recipient": release.recipient,
            **({"mark sets": len(marks)} if len(marks) > 1 else {}),
            **({"claims": "dropped from all files"} if release.drop_claims else {}),
            **({"stays home": release.get_outlets_display()} if release.outlets else {}),
        },
    )
    params = {"release": str(release.pk)}
    release.job = enqueue("release.embed", release, organisation=organisation, by=by, params=params)
    release.save(update_fields=["job"])
    return release


def _check_outlets(marks: MarkSets, outlets: str) -> None:
    if marks.withheld is None:
        if outlets:
            raise ReleaseError("No image stays home, so there is nothing to say about other outlets.")
    elif outlets not in Release.Outlets.values:
        raise ReleaseError(
            "Say whether the images that stay home are kept from every other outlet: a model that met them elsewhere "
            "knows them as well as the published ones."
        )


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


@job_kind("release.embed", title="Striking the mark", queue="cpu", ended=mark_release_failed)
def embed(run: JobRun) -> None:
    """Record the beacon, derive, embed. A second attempt finds the beacon and the finished blocks in place."""
    from provenance.inspection.files import structural_features  # loads the compiler

    release = Release.objects.select_related("version__dataset__organisation", "key__version__dataset").get(
        pk=run.params["release"]
    )
    if release.state == Release.State.READY:  # an earlier attempt got this far
        return
    Release.objects.filter(pk=release.pk).update(state=Release.State.EMBEDDING)
    version = release.version
    key = keys.record_beacon(release.key)
    with open_manifest(version) as manifest:
        _check_root(manifest, version)
        facts = embed_release(
            manifest,
            version.files_folder,
            release.folder,
            keys.open_secrets(key),
            key.mark_sets,
            structural_features,
            run.progress,  # raises where a person cancelled the job
            owned=version.source != Version.Source.FOLDER,
            workers=max(1, len(os.sched_getaffinity(0))),
            beside=_beside(version),
            drop_claims=release.drop_claims,
            at_home=_at_home(release),
            versions=keys.open_versions(key),
        )
    run.checkpoint()
    _finish(release, key, facts)


def _at_home(release: Release) -> AtHome | None:
    return AtHome(*blocks_and_choice(release)) if release.key.mark_sets.withheld else None


def _beside(version: Version) -> list[tuple[Path, BesideFile]]:
    """The CSV with labels and captions goes with every copy: without it pairs were images alone."""
    kept: dict[str, Any] | None = version.facts.get("labels_file")
    return [(version.folder / LABELS_KEPT, BesideFile(**kept))] if kept else []


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
        details={
            "recipient": release.recipient,
            "files": facts["files"],
            "marked": facts["marked"],
            **({"stay home": facts["withheld"]["images_at_home"]} if "withheld" in facts else {}),
            **({"in one of two versions": facts["versions"]["images"]} if "versions" in facts else {}),
            **({"without claims": facts["claims_dropped"].get(ANY_CLAIM, 0)} if release.drop_claims else {}),
            "missing": missing_marks(facts),
            "passed over": facts["passed_over"],
        },
    )
    if release.marked_count >= LEAST:
        enqueue_inspection(release, by=release.created_by)


def missing_marks(facts: dict[str, Any]) -> int:
    """Images that a finished release's plan wanted and that no candidate was left for."""
    return sum(missing_in(part["groups"]) for part in facts.get("sets") or [facts])


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
