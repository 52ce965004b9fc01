import shutil

from provenance.models import Version
from provenance.services import datasets, uploads
from tests.permissions.access import EVERYONE, OWNER_DATA, Access
from tests.provenance.builders_datasets import ready, registered
from tests.world import World

RIGHTS_HOLDER = frozenset({"rights_holder"})
GRANTED = OWNER_DATA | {"guest_auditor"}


def granted(world: World) -> Version:
    version = ready(world)
    datasets.grant(version.dataset, "gita", by=world.rights_holder)
    return version


def dataset(world: World) -> dict[str, object]:
    return {"pk": granted(world).dataset_id}


def grant(world: World) -> dict[str, object]:
    version = granted(world)
    return {"pk": version.dataset_id, "grant": version.dataset.grants.get().pk}


def version(world: World) -> dict[str, object]:
    return {"pk": granted(world).pk}


def lost(world: World) -> dict[str, object]:
    version = granted(world)
    shutil.rmtree(version.manifest_folder)
    return {"pk": version.pk}


def unread(world: World) -> dict[str, object]:
    """A version nobody outside was granted yet."""
    return {"pk": registered(world).pk}


def file(world: World) -> dict[str, object]:
    return {"pk": granted(world).pk, "index": 3}


def upload(world: World) -> dict[str, object]:
    begun = uploads.begin(world.owner, name="a.zip", size=100, fingerprint="", by=world.rights_holder)
    return {"pk": begun.pk}


def announced(world: World) -> dict[str, object]:
    return {"organisation": str(world.owner.pk), "name": "a.zip", "size": "100", "fingerprint": ""}


ACCESS = {
    "dataset_list": Access(EVERYONE),
    "dataset_new": Access(RIGHTS_HOLDER | {"outsider"}),
    "dataset_detail": Access(GRANTED, dataset),
    "version_new": Access(RIGHTS_HOLDER, dataset),
    "dataset_grant": Access(RIGHTS_HOLDER, dataset, method="post"),
    "dataset_revoke": Access(RIGHTS_HOLDER, grant, method="post"),
    "version_detail": Access(OWNER_DATA, unread),
    "version_files": Access(GRANTED, version),
    "version_file": Access(GRANTED, file),
    "version_proof": Access(GRANTED, file),
    "version_image": Access(GRANTED, file),
    "version_issues": Access(GRANTED, version),
    "version_words": Access(RIGHTS_HOLDER, version, method="post"),
    "version_give_up": Access(RIGHTS_HOLDER, lost, method="post", data=lambda world: {"reason": "a fire"}),
    "version_near_duplicates": Access(RIGHTS_HOLDER, version, method="post"),
    "version_blocks": Access(RIGHTS_HOLDER, version, method="post", accepts=(422,)),
    "upload_begin": Access(frozenset({"rights_holder", "auditor"}), method="post", data=announced),
    "upload_state": Access(RIGHTS_HOLDER, upload),
    # An empty piece is refused, but only after the question of who may send one.
    "upload_chunk": Access(RIGHTS_HOLDER, upload, method="post", accepts=(400,)),
    "upload_discard": Access(RIGHTS_HOLDER, upload, method="post"),
}
