from audits.models import RegisteredModel
from tests.permissions.access import EVERYONE, OWNER_DATA, Access
from tests.world import World

# Auditors register suspects and references, rights-holders encoders.
KEEPERS = frozenset({"auditor", "guest_auditor", "outsider", "rights_holder"})


def suspect(world: World) -> dict[str, object]:
    model = RegisteredModel.objects.create(
        organisation=world.owner,
        role=RegisteredModel.ModelRole.SUSPECT,
        name="Suspect",
        spec={"architecture": "cifar_resnet:20"},
        weights_name="weights.safetensors",
        weights_size=1,
        sha256="0" * 64,
        created_by=world.auditor,
    )
    return {"pk": model.pk}


ACCESS = {
    "model_list": Access(EVERYONE),
    "model_new": Access(KEEPERS),
    "architecture_search": Access(EVERYONE),
    "model_detail": Access(OWNER_DATA, suspect),
    "model_test": Access(frozenset({"auditor"}), suspect, method="post"),
    "model_describe": Access(frozenset({"auditor"}), suspect),
}
