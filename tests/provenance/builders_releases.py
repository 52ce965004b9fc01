"""Versions with images of four classes, and releases of them, made by the services."""

from __future__ import annotations

import uuid
from collections import Counter

import numpy as np
from django.utils import timezone

from provenance.intake.manifest import Manifest
from provenance.marks import MarkSets, MarkSettings
from provenance.marks.clusters import NONE
from provenance.marks.copies import NO_NEAR_DUPLICATE, write_near_duplicates
from provenance.models import Clusters, Dataset, Release, Version
from provenance.near_duplicates.grouping import DISTANCE
from provenance.services import clusters, releases
from tests.provenance.embedding.builders import GROUPS, jpeg, lossy_webp, tiny_jpeg, write_version
from tests.world import World

MARK = MarkSettings(groups=GROUPS, share=0.2, opacity=0.8)
MARKS = MarkSets((MARK,))


def marked_version(
    world: World,
    per_group: int = 12,
    name: str = "Meadows",
    sizes: dict[str, int] | None = None,
    tiny: int = 0,
    lossy: int = 0,
    copies: int = 0,
) -> Version:
    """A ready version whose files and manifest are on disk, captions telling the class too.

    Args: sizes: the classes and their images, where they are not the four of GROUPS with `per_group` each.
        tiny: as many images of 8 x 8 pixels in every class besides. lossy: as many WebPs that can carry no mark.
        copies: further files with the bytes of each.
    """
    dataset = Dataset.objects.create(organisation=world.owner, name=name, created_by=world.rights_holder)
    version = Version(
        id=uuid.uuid4(), dataset=dataset, number=1, source="upload", source_name="m.zip", created_by=world.rights_holder
    )
    classes = sizes or dict.fromkeys(GROUPS, per_group)
    files = {f"{name}/{i:03d}.jpg": jpeg(100 * g + i) for g, (name, n) in enumerate(classes.items()) for i in range(n)}
    files |= {f"{label}/tiny-{i}.jpg": tiny_jpeg(1000 * g + i) for g, label in enumerate(classes) for i in range(tiny)}
    files |= {
        f"{label}/lossy-{i}.webp": lossy_webp(1000 * g + i) for g, label in enumerate(classes) for i in range(lossy)
    }
    files |= {f"{path[:-4]}-{n}.jpg": data for path, data in files.items() for n in range(copies)}
    captions = {path: f"a photo of a {path.split('/')[0]}" for path in files}
    manifest: Manifest = write_version(version.folder, files, captions)
    with manifest:
        version.state = Version.State.READY
        version.root = manifest.root
        version.file_count = len(manifest)
        version.total_bytes = manifest.facts["bytes"]
        version.facts = manifest.facts
    version.ready_at = timezone.now()
    count_near_duplicates(version, {})
    version.save()
    return version


def count_near_duplicates(version: Version, groups: dict[str, int]) -> None:
    """As the job would leave a version that is not saved yet: groups names the group of every path that has one."""
    with Manifest(version.manifest_folder) as manifest:
        entries = list(manifest)
    group_of = np.array([groups.get(entry.path, NO_NEAR_DUPLICATE) for entry in entries], dtype=np.int32)
    labels = Counter(entry.label for entry in entries if entry.path in groups)
    version.near_duplicates = {
        "images": len(groups),
        "groups": len(set(groups.values())),
        "flat": 0,
        "unread": 0,
        "labels": labels,
        "digest": write_near_duplicates(version.folder, group_of),
        "distance": DISTANCE,
    }


def kept_clusters(world: World, version: Version, groups: int = 6, left_out: int = 2, seed: int = 3) -> Clusters:
    """Clusters of a version's images that a seed drew, and no encoder found."""
    labels = np.random.default_rng(seed).permutation(np.arange(version.file_count) % groups).astype(np.uint16)
    labels[:left_out] = NONE
    facts = {"moved": 0, "inertia": 0.5, "feature_size": 8}
    return clusters.keep(version, clusters.Found(labels, "Any encoder", "e" * 64, 7, facts), by=world.rights_holder)


def ordered_release(world: World, version: Version | None = None, recipient: str = "Northgate") -> Release:
    """A release whose job is queued but, outside `on_commit`, not run."""
    version = version or marked_version(world)
    return releases.make_releases(version, [recipient], MARKS, by=world.rights_holder)[0]


def ready_release(world: World, version: Version | None = None, recipient: str = "Northgate") -> Release:
    """A release that was really embedded, in this process."""
    from provenance.services.jobs import worker

    release = ordered_release(world, version, recipient)
    worker.run(str(release.job_id))
    release.refresh_from_db()
    assert release.state == Release.State.READY, release.job and release.job.reason
    return release
