"""Blocks of a version and releases that leave images home, made by the services in this process."""

from __future__ import annotations

from provenance.blocking.rule import BlockRule
from provenance.marks import MarkSets, WithheldSettings
from provenance.models import Blocking, Job, Release, Version
from provenance.services import releases
from provenance.services.blockings import order_blocks
from provenance.services.jobs import worker
from tests.world import World


def blocked(world: World, version: Version, **rule) -> Blocking:
    job = order_blocks(version, BlockRule(**rule), by=world.rights_holder)
    worker.run(str(job.pk))
    job.refresh_from_db()
    assert job.state == Job.State.DONE, job.reason
    return version.blockings.first()


def withheld(row: Blocking, share: float = 0.17) -> WithheldSettings:
    return WithheldSettings(row.digest, row.block_size, share)


def made(world: World, version: Version, marks: MarkSets, recipient: str = "North", outlets: str = "kept") -> Release:
    (release,) = releases.make_releases(version, [recipient], marks, by=world.rights_holder, outlets=outlets)
    worker.run(str(release.job_id))
    release.refresh_from_db()
    assert release.state == Release.State.READY, release.job and release.job.reason
    return release
