"""Blocks of a version: made in a job of their own, kept in its folder, logged, and chosen from by withheld sets."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from django.db import transaction

from provenance.blocking.making import Images, make_blocks
from provenance.blocking.named_units import units_of_column, units_of_folders
from provenance.blocking.rule import BlockingError, BlockRule
from provenance.intake.manifest import Entry, Manifest
from provenance.intake.take_in import LABELS_KEPT
from provenance.marks import ImageBlocks
from provenance.marks.blocking_file import FOLDER, write_blocking
from provenance.marks.cluster_files import read_clusters, read_signs
from provenance.marks.copies import first_of
from provenance.models import Blocking, Job, Role, User, Version
from provenance.near_duplicates.finding import HASHES, LEAST_QUALITY, hashes
from provenance.near_duplicates.hashing import Records
from provenance.services.access import require
from provenance.services.jobs.kinds import job_kind
from provenance.services.jobs.queue import enqueue
from provenance.services.jobs.running import JobRun
from provenance.services.log import record

KIND = "version.block"
TOLD_EVERY = 10_000  # entries


class UnknownBlockingError(BlockingError):
    """The version has no such blocks."""


def with_signs(version: Version, rule: BlockRule) -> BlockRule:
    """The rule that goes by the features of the encoder whose clusters it names, where their signs were kept."""
    clusters = version.clusters.filter(digest=rule.clusters).first() if rule.clusters else None
    return replace(rule, signs=clusters.facts.get("signs", "")) if clusters else rule


@transaction.atomic
def order_blocks(version: Version, rule: BlockRule, *, by: User) -> Job:
    """Queue the making of blocks, for the rights-holder; returns the job that is at it already, where there is one."""
    require(by, version.dataset.organisation, Role.RIGHTS_HOLDER)
    if version.state != Version.State.READY:
        raise BlockingError("The files of this version have not been read yet.")
    if rule.unit_column and "labels_file" not in version.facts:
        raise BlockingError("No CSV of labels came with the images of this version, so it has no column to go by.")
    if rule.clusters and not version.clusters.filter(digest=rule.clusters).exists():
        raise BlockingError("The clusters that blocks are to be made within are not those of this version.")
    Version.objects.select_for_update().get(pk=version.pk)  # two orders at once would make two jobs
    running = blocking_job(version)
    if running and not running.is_finished:
        if running.params["rule"] == rule.to_dict():
            return running
        raise BlockingError("Blocks of this version are being made by another rule. Wait for that job, or cancel it.")
    params = {"version": str(version.pk), "rule": rule.to_dict()}
    return enqueue(KIND, version, organisation=version.dataset.organisation, by=by, params=params)


def blocking_job(version: Version) -> Job | None:
    """The last one."""
    return Job.objects.about(version).filter(kind=KIND).first()


def named_blocking(version: Version, digest: str) -> Blocking:
    """The version's blocks with this digest, or with one that begins like this. Raises UnknownBlockingError."""
    if not digest.strip():
        raise UnknownBlockingError("Name the blocks by the digest of their file; block_images makes them and tells it.")
    rows = list(version.blockings.filter(digest__startswith=digest.strip().lower())[:2])
    if not rows:
        raise UnknownBlockingError(f"No blocks of {version} have this digest. The command block_images makes some.")
    if len(rows) > 1:
        raise UnknownBlockingError("Several blocks begin like this; write more of the digest.")
    return rows[0]


@job_kind(KIND, title="Putting images into blocks", queue="cpu")
def make(run: JobRun) -> None:
    """Hashes block by block, unless they lie there from counting near-duplicates; then units and blocks in one go."""
    version = Version.objects.select_related("dataset__organisation").get(pk=run.params["version"])
    rule = BlockRule(**run.params["rule"])
    work = version.folder / FOLDER / "work"  # one job at a time: another one goes on with what lies there
    with Manifest(version.manifest_folder) as manifest:
        first = first_of(b"".join(bytes.fromhex(entry.sha256) for entry in _told(run, manifest)))
        kept, workers = version.folder / "near_duplicates" / HASHES, max(1, len(os.sched_getaffinity(0)))
        records = hashes(manifest, version.files_folder, first, kept, work / "hashes", run.progress, workers)
        images = _images(run, version, manifest, records, first, rule, work)
    blocks = make_blocks(images, rule, run.progress)
    run.checkpoint()
    _keep(version, rule, blocks, images, by=run.job.created_by)
    shutil.rmtree(work, ignore_errors=True)


def _images(
    run: JobRun, version: Version, manifest: Manifest, records: Records, first: np.ndarray, rule: BlockRule, work: Path
) -> Images:
    numbers: dict[tuple[str | None, int], int] = {}
    clusters = (
        read_clusters(version.folder, rule.clusters) if rule.clusters else np.zeros(len(manifest), dtype=np.uint16)
    )
    group, size = np.zeros(len(manifest), dtype=np.int64), np.zeros(len(manifest), dtype=np.int64)
    for position, entry in enumerate(_told(run, manifest)):
        within = (entry.label, int(clusters[position]))
        group[position], size[position] = numbers.setdefault(within, len(numbers)), entry.size
    named = []
    if rule.folder_level:
        named.append(units_of_folders((entry.path for entry in _told(run, manifest)), rule.folder_level))
    if rule.unit_column:
        paths = (entry.path for entry in _told(run, manifest))
        named.append(units_of_column(version.folder / LABELS_KEPT, rule.unit_column, paths, work / "column"))
    signs = read_signs(version.folder, rule.signs) if rule.signs else None
    return Images(records, first, group, size, named, signs)


def _told(run: JobRun, manifest: Manifest) -> Iterator[Entry]:
    for number, entry in enumerate(manifest):
        if number % TOLD_EVERY == 0:
            run.progress(number, len(manifest), "reading the manifest")
        yield entry


@transaction.atomic
def _keep(version: Version, rule: BlockRule, blocks: ImageBlocks, images: Images, *, by: User | None) -> None:
    """Puts the file into the version's folder and says so in the log; the same blocks are kept once."""
    if not blocks.blocks:
        raise BlockingError(
            f"The rule makes no block: nowhere are {rule.block_size} units of one class. Make smaller blocks, or units "
            "of fewer images."
        )
    digest = write_blocking(version.folder, blocks)
    own = images.first == np.arange(len(blocks))
    read = images.records["read"][own] == 1
    counts = {"units": blocks.units, "blocks": blocks.blocks, "images_in_blocks": blocks.files}
    facts = {
        "images": len(blocks),
        "largest_unit": int(np.bincount(blocks.unit_of).max()),
        "units_of_several": int((np.bincount(blocks.unit_of) > 1).sum()),
        "flat": int((images.records["quality"][own][read] < LEAST_QUALITY).sum()),
        "unread": int((~read).sum()),
    }
    fields = {**counts, "rule": rule.to_dict(), "block_size": rule.block_size, "facts": facts, "created_by": by}
    _, made = Blocking.objects.get_or_create(version=version, digest=digest, defaults=fields)
    if made:
        record(
            "version.blocks_made",
            version,
            organisation=version.dataset.organisation,
            by=by,
            digests={"blocking": digest, "manifest_root": version.root},
            details={**counts, "rule": str(rule)},
        )
