"""Clusters of a version's images: kept in its folder, logged, shown, and turned into the groups of a mark."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from provenance.canonical import canonical_json
from provenance.errors import TouchmarkError
from provenance.marks.cluster_files import cluster_name, clusters_path, read_clusters, write_clusters, write_signs
from provenance.marks.clusters import NONE
from provenance.models import Clusters, User, Version
from provenance.services import manifests
from provenance.services.log import record

SAMPLES = 8  # pictures shown of every cluster


class UnknownClustersError(TouchmarkError):
    """The version has no such clusters."""


@dataclass(frozen=True)
class Found:
    """What a clustering found. labels: (n,) uint16 by position in the manifest. facts: numbers about it, for people.
    signs: (n, w) of the features, where they are to be kept."""

    labels: NDArray[np.uint16]
    encoder: str
    encoder_digest: str
    seed: int
    facts: dict[str, Any]
    signs: NDArray[np.uint64] | None = None


def keep(version: Version, found: Found, *, by: User) -> Clusters:
    """Puts the file into the version's folder and says so in the log; the same clusters are kept once.

    For jobs, which act on behalf of whoever started them and asked for permission then.
    """
    digest = write_clusters(version.folder, found.labels)
    facts = found.facts
    if found.signs is not None:
        facts = {**facts, "signs": write_signs(version.folder, found.signs)}
    grouped = found.labels[found.labels != NONE]
    about = {"encoder": found.encoder, "encoder_digest": found.encoder_digest, "seed": found.seed,
             "sizes": np.bincount(grouped).tolist(), "left_out": len(found.labels) - len(grouped)}  # fmt: skip
    written = canonical_json({**about, **facts, "clusters": digest, "manifest": version.root})
    clusters_path(version.folder, digest).with_suffix(".json").write_bytes(written + b"\n")
    with transaction.atomic():
        fields = {**about, "facts": facts, "created_by": by}
        clusters, made = Clusters.objects.get_or_create(version=version, digest=digest, defaults=fields)
        if made:
            record(
                "clusters.kept",
                version,
                organisation=version.dataset.organisation,
                by=by,
                digests={"clusters": digest, "encoder": found.encoder_digest, "root": version.root},
                details={"clusters": len(clusters.sizes), "encoder": found.encoder, "seed": found.seed},
            )
        elif facts != clusters.facts:  # found before there were signs
            clusters.facts = facts
            clusters.save(update_fields=["facts"])
    return clusters


def draw_samples(clusters: Clusters) -> None:
    """The sample pictures, ahead of the first person who looks at them."""
    indices = [index for members in samples(clusters) for index in members]
    manifests.draw_thumbnails(clusters.version, indices)


def samples(clusters: Clusters, first: int = 0, last: int | None = None) -> list[list[int]]:
    """Positions of a few members, evenly spaced, of each cluster from `first` up to `last`. Raises ClusterFileError."""
    labels = read_clusters(clusters.version.folder, clusters.digest)
    chosen = []
    for number in range(len(clusters.sizes))[first:last]:
        members = np.flatnonzero(labels == number)
        chosen.append(members[manifests.sample_indices(len(members), SAMPLES)].tolist())
    return chosen


def named(version: Version, digest: str) -> Clusters:
    """The version's clusters with this digest, or with one that begins like this. Raises UnknownClustersError."""
    if not digest.strip():
        raise UnknownClustersError("Name the clusters by the digest of their file; cluster_images tells it.")
    rows = list(version.clusters.filter(digest__startswith=digest.strip().lower())[:2])
    if len(rows) != 1:
        raise UnknownClustersError(
            f"No clusters of {version} have this digest." if not rows else "Several clusters begin like this; "
            "write more of the digest."
        )  # fmt: skip
    return rows[0]


def group_counts(version: Version, digest: str, groups: tuple[str, ...]) -> tuple[list[int], int]:
    """How many images the groups have that are named by clusters, and how many lie outside of all of them."""
    sizes = {cluster_name(number): size for number, size in enumerate(named(version, digest).sizes)}
    counts = [sizes.get(name, 0) for name in groups]
    return counts, version.file_count - sum(counts)
