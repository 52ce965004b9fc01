"""Datasets for tests: small real archives, read by the real job."""

import io
import zipfile
from pathlib import Path

from provenance.models import Upload, User, Version
from provenance.services import datasets, uploads
from provenance.services.datasets import VersionSource
from provenance.services.jobs import worker
from tests.provenance.intake.samples import jpeg
from tests.world import World

MEMBERS = [
    (f"{label}/{number}.jpg", jpeg(100 * place + number)) for place, label in enumerate("abc") for number in range(4)
]


def archive(members: list[tuple[str, bytes]] = MEMBERS) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for name, data in members:
            out.writestr(name, data)
    return buffer.getvalue()


def uploaded(user: User, organisation, data: bytes | None = None, name: str = "meadows.zip") -> Upload:
    """A complete upload, sent in two pieces."""
    data = archive() if data is None else data
    upload = uploads.begin(organisation, name=name, size=len(data), fingerprint="f", by=user)
    half = len(data) // 2
    uploads.append(upload, 0, data[:half], by=user)
    return uploads.append(upload, half, data[half:], by=user)


def registered(world: World, name: str = "Meadows", members=MEMBERS, labels=Version.Labels.FOLDER, **about) -> Version:
    """A version whose job is queued and not run yet."""
    upload = uploaded(world.rights_holder, world.owner, archive(members), f"{name}.zip")
    source = VersionSource(upload=upload, labels=labels, labels_file="labels.csv")
    return datasets.register(world.owner, name=name, source=source, by=world.rights_holder, **about)


def ready(world: World, name: str = "Meadows", members=MEMBERS, labels=Version.Labels.FOLDER, **about) -> Version:
    """A version that is read and frozen."""
    version = registered(world, name, members, labels, **about)
    worker.run(str(version.job_id))
    version.refresh_from_db()
    return version


def folder(root: Path, members=MEMBERS) -> Path:
    for name, data in members:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root
