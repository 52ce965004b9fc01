"""Grouping a version's images by an encoder that its owner names: ordered, forecast, shown. The work is a job."""

from dataclasses import dataclass
from typing import Any

from django.db import models, transaction

from audits.models import Clustering, RegisteredModel
from provenance.errors import TouchmarkError
from provenance.marks.clusters import LEAST_IMAGES
from provenance.marks.settings import MAX_GROUPS, MIN_GROUPS
from provenance.models import LogEntry, Role, User, Version
from provenance.services.access import require
from provenance.services.jobs.queue import enqueue
from provenance.services.log import record
from provenance.wording import count, percent

FEATURE_BYTES = 2  # half precision
COST_BYTES = 4


class ClusteringRefusedError(TouchmarkError):
    """These images cannot be grouped like this; the sentence says what to change."""


@dataclass(frozen=True)
class ClusteringForecast:
    """What a clustering will take. seconds: of the encoder's forward passes alone, as its connection test ran them."""

    images: int
    per_cluster: int
    seconds: float
    disk_bytes: int
    device: str


@transaction.atomic
def start(version: Version, encoder: RegisteredModel, groups: int, *, by: User, seed: int = 1) -> Clustering:
    """Queues the run. Only rights-holders of the data may: groups decide what a release marks."""
    organisation = version.dataset.organisation
    require(by, organisation, Role.RIGHTS_HOLDER)
    forecast(version, encoder, groups)  # refuses what cannot be done
    if not 0 <= seed < 2**32:
        raise ClusteringRefusedError(f"The seed is a whole number from 0 to {count(2**32 - 1)}.")
    clustering = Clustering.objects.create(version=version, encoder=encoder, groups=groups, seed=seed, created_by=by)
    clustering.job = enqueue(
        "clustering.run", clustering, organisation=organisation, by=by, params={"clustering": str(clustering.pk)}
    )
    clustering.save(update_fields=["job"])
    record(
        "clustering.started",
        clustering,
        organisation=organisation,
        by=by,
        digests={"encoder": encoder.sha256, "root": version.root},
        details={"clusters": groups, "seed": seed, "encoder": encoder.name},
    )
    return clustering


def forecast(version: Version, encoder: RegisteredModel, groups: int) -> ClusteringForecast:
    """What it will cost. Raises ClusteringRefusedError where it cannot be done at all."""
    if version.state != Version.State.READY:
        raise ClusteringRefusedError("The files of this version have not been read yet.")
    if encoder.role != RegisteredModel.ModelRole.ENCODER or encoder.organisation_id != version.dataset.organisation_id:
        raise ClusteringRefusedError("Choose an encoder of the organisation that owns the images.")
    if not encoder.connection or "features" not in encoder.connection.get("levels", ()):
        raise ClusteringRefusedError("This encoder has not passed its connection test with features yet.")
    if not MIN_GROUPS <= groups <= MAX_GROUPS:
        raise ClusteringRefusedError(f"Ask for {MIN_GROUPS} to {MAX_GROUPS} clusters.")
    images = version.file_count
    if images < LEAST_IMAGES * groups:
        raise ClusteringRefusedError(f"{count(images)} images are too few for {groups} clusters.")
    width = encoder.connection.get("feature_size") or 0
    return ClusteringForecast(
        images=images,
        per_cluster=images // groups,
        seconds=images / max(float(encoder.connection["images_per_second"]), 1e-9),
        disk_bytes=images * (width * FEATURE_BYTES + groups * COST_BYTES),
        device=str(encoder.connection.get("device", "")),
    )


def visible(user: User) -> "models.QuerySet[Clustering]":
    """The person's clusterings for lists, newest first, with what the lines name."""
    return Clustering.objects.for_user(user).select_related("version__dataset", "encoder", "job", "created_by")


def may_see_samples(clustering: Clustering, user: User) -> bool:
    return user.has_role(clustering.version.dataset.organisation, Role.RIGHTS_HOLDER)


def log_entries(clustering: Clustering, user: User) -> "models.QuerySet[LogEntry]":
    """What the log holds about a clustering and, once they are kept, about its clusters; newest first."""
    seen = LogEntry.objects.for_user(user)
    found = seen.about(clustering)
    if clustering.clusters is not None:
        kept = seen.about(clustering.version).filter(verb="clusters.kept", digests__clusters=clustering.clusters.digest)
        found |= kept
    return found.order_by("-seq")


def facts(clustering: Clustering) -> list[tuple[str, Any]]:
    """What was asked for and, at the end, what came of it: (word, value)."""
    asked = [("Clusters", clustering.groups), ("Seed", clustering.seed)]
    if clustering.clusters is None:
        return asked
    kept, told = clustering.clusters, clustering.clusters.facts
    images = sum(kept.sizes)
    return [
        *asked,
        ("Images in clusters", count(images)),
        ("Left out, unreadable", count(kept.left_out) if kept.left_out else "none"),
        ("Moved to make sizes equal", f"{count(told['moved'])} ({percent(told['moved'] / images)})"),
        ("Mean squared distance to the centre", f"{told['inertia']:.3f}"),
        ("Numbers per image", count(told["feature_size"])),
    ]


def sizes_chart(clustering: Clustering) -> dict[str, Any]:
    """Images per cluster, for the chart component."""
    assert clustering.clusters is not None  # noqa: S101 - asked for finished ones only
    names, sizes = clustering.clusters.names, clustering.clusters.sizes
    bars = {
        "type": "bar",
        "x": list(names),
        "y": sizes,
        "marker": {"color": "token:accent"},
        "hovertemplate": "%{x}: %{y:,} images<extra></extra>",
    }
    layout = {"showlegend": False, "yaxis": {"title": {"text": "images"}, "rangemode": "tozero"}}
    return {
        "figure": {"data": [bars], "layout": layout},
        "columns": ["Cluster", "Images"],
        "rows": [[name, count(size)] for name, size in zip(names, sizes, strict=True)],
    }
