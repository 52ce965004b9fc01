from tests.audits.builders_robustness import stored
from tests.permissions.access import EVERYONE, OWNER_DATA, Access
from tests.world import World

# Whoever is a rights-holder or an auditor somewhere may measure for that organisation.
STARTERS = frozenset({"rights_holder", "auditor", "guest_auditor", "outsider"})


def robustness_of(world: World) -> dict[str, object]:
    return {"pk": stored(world).pk}


ACCESS = {
    "robustness_list": Access(EVERYONE),
    "robustness_new": Access(STARTERS),
    "robustness_cost": Access(STARTERS),
    "robustness_detail": Access(OWNER_DATA, robustness_of),
    "robustness_json": Access(OWNER_DATA, robustness_of),
}
