import numpy as np

from audits.models import Clustering
from provenance.services import clusters
from tests.audits.builders_runs import register
from tests.permissions.access import EVERYONE, OWNER_DATA, Access
from tests.provenance.builders_releases import marked_version
from tests.world import World

# An outsider is a rights-holder too, of their own organisation: their form offers none of ours.
HOLDERS = frozenset({"rights_holder", "outsider"})


def clustering(world: World) -> dict[str, object]:
    version, encoder = marked_version(world, per_group=1), register(world, "encoder", b"weights", "encoder")
    labels = (np.arange(version.file_count) % 4).astype(np.uint16)
    facts = {"moved": 1, "inertia": 0.5, "feature_size": 64}
    found = clusters.Found(labels, encoder.name, encoder.sha256, 1, facts)
    made = Clustering.objects.create(
        version=version,
        encoder=encoder,
        groups=4,
        seed=1,
        state=Clustering.State.DONE,
        clusters=clusters.keep(version, found, by=world.rights_holder),
        facts={"encode_seconds": 1.5, "group_seconds": 0.5, "device": "cpu", "images": 5},
        created_by=world.rights_holder,
    )
    return {"pk": made.pk}


ACCESS = {
    "clustering_list": Access(EVERYONE),
    "clustering_new": Access(HOLDERS),
    "clustering_forecast": Access(HOLDERS),
    "clustering_detail": Access(OWNER_DATA, clustering),
}
