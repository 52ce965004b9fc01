from tests.audits.builders_pilots import finished
from tests.permissions.access import EVERYONE, OWNER_DATA, Access
from tests.world import World

# Whoever is a rights-holder or an auditor somewhere may make pilots of that organisation's data.
STARTERS = frozenset({"rights_holder", "auditor", "guest_auditor", "outsider"})


def pilot_of(world: World) -> dict[str, object]:
    return {"pk": finished(world).pk}


def line_of(world: World) -> dict[str, object]:
    return {**pilot_of(world), "name": "simclr-proposal-2-1"}


ACCESS = {
    "pilot_list": Access(EVERYONE),
    "pilot_new": Access(STARTERS),
    "pilot_detail": Access(OWNER_DATA, pilot_of),
    "pilot_curves": Access(OWNER_DATA, pilot_of),
    "pilot_json": Access(OWNER_DATA, pilot_of),
    "pilot_twins": Access(frozenset({"auditor"}), pilot_of, method="post", accepts=(422,)),
    "pilot_line": Access(OWNER_DATA, line_of),
}
