from audits.models import Training
from tests.audits.builders_reports import version
from tests.permissions.access import EVERYONE, OWNER_DATA, Access
from tests.world import World


def training(world: World) -> dict[str, object]:
    row = Training.objects.create(
        organisation=world.owner,
        name="Tiny CLIP 1",
        version=version(world),
        settings={"recipe": {"seed": 1}, "becomes": "suspect", "class_names": []},
        curve=[{"epoch": number, "loss": 3 / number, "accuracy": 1 - 1 / number} for number in range(1, 9)],
        created_by=world.rights_holder,
    )
    return {"pk": row.pk}


ACCESS = {
    "training_list": Access(EVERYONE),
    "training_new": Access(frozenset({"auditor", "guest_auditor", "outsider"})),  # wherever they are auditors
    "training_choices": Access(frozenset({"auditor", "guest_auditor", "outsider"}), lambda world: {"name": "version"}),
    "training_detail": Access(OWNER_DATA, training),
    "training_curve": Access(OWNER_DATA, training),
}
