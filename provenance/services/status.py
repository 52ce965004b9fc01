"""What an administrator wants to know of the machine: queues, workers, storage, versions."""

import platform
import shutil
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.files.storage import FileSystemStorage, storages
from django.db import connection
from django.db.models import Count, Min, Q, Sum

from provenance.models import Job, Organisation, Release, Upload, Version, WorkerSeen

PACKAGES = ("django", "celery", "numpy", "torch", "open_clip_torch", "timm", "plotly", "typst")


@dataclass(frozen=True)
class QueueState:
    name: str
    purpose: str
    queued: int
    running: int
    oldest: datetime | None
    workers: int
    worker_seen: datetime | None

    @property
    def state(self) -> str:
        """One word for the badge: waiting work without a worker is the fault to see at once."""
        if self.workers:
            return "alive"
        return "needs attention" if self.queued or self.running else "away"


@dataclass(frozen=True)
class StorageUse:
    organisation: Organisation
    datasets: int
    releases: int
    uploads: int

    @property
    def total(self) -> int:
        return self.datasets + self.releases + self.uploads

    @property
    def share(self) -> float:
        """Of the organisation's quota, 0 to 1."""
        return min(1.0, self.total / settings.ORGANISATION_QUOTA_BYTES)


def queue_states() -> list[QueueState]:
    """Numbers over all organisations: a queue is one, whoever's work stands in it."""
    counts: dict[str, Any] = {
        row["queue"]: row
        for row in Job.objects.values("queue")
        .order_by("queue")
        .annotate(
            queued=Count("pk", filter=Q(state=Job.State.QUEUED)),
            running=Count("pk", filter=Q(state=Job.State.RUNNING)),
            oldest=Min("created_at", filter=Q(state=Job.State.QUEUED)),
        )
    }
    workers = list(WorkerSeen.objects.all())
    states = []
    for name, purpose in settings.JOB_QUEUES.items():
        row: dict[str, Any] = counts.get(name, {"queued": 0, "running": 0, "oldest": None})
        listening = [worker for worker in workers if name in worker.queues.split(",")]
        alive = sum(worker.is_alive for worker in listening)
        seen = max((worker.seen_at for worker in listening), default=None)
        states.append(QueueState(name, purpose, row["queued"], row["running"], row["oldest"], alive, seen))
    return states


def storage_use(organisation: Organisation) -> StorageUse:
    """Bytes as the rows know them. Hard links between a version and its releases are counted on both sides."""
    datasets = Version.objects.filter(dataset__organisation=organisation)
    releases = Release.objects.filter(version__dataset__organisation=organisation)
    uploads = Upload.objects.filter(organisation=organisation, consumed=False)
    return StorageUse(
        organisation,
        datasets.aggregate(total=Sum("total_bytes"))["total"] or 0,
        releases.aggregate(total=Sum("total_bytes"))["total"] or 0,
        uploads.aggregate(total=Sum("received"))["total"] or 0,
    )


def disk_free() -> tuple[int, int]:
    """(free, total) bytes of the volume that holds the trees of images."""
    settings.FILES_DIR.mkdir(parents=True, exist_ok=True)
    usage = shutil.disk_usage(settings.FILES_DIR)
    return usage.free, usage.total


def installation() -> list[tuple[str, str]]:
    """How this instance is put together. Addresses without names and passwords."""
    broker = urlsplit(settings.CELERY_BROKER_URL)
    return [
        ("Database", f"{connection.vendor} {_database_version()}"),
        ("Broker", "local files" if broker.scheme == "filesystem" else f"{broker.scheme} on {broker.hostname}"),
        ("Weights and reports", "local folder" if isinstance(storages["default"], FileSystemStorage) else "bucket"),
        ("Python", platform.python_version()),
        *((name, _installed(name)) for name in PACKAGES),
    ]


def _database_version() -> str:
    return ".".join(str(part) for part in connection.get_database_version())


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed here"
