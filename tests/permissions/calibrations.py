from tests.audits.builders_calibrations import finished
from tests.permissions.access import EVERYONE, OWNER, Access
from tests.world import World

# Whoever is an auditor or an administrator somewhere may calibrate for that organisation.
STARTERS = frozenset({"auditor", "administrator", "guest_auditor", "outsider"})


def calibration_of(world: World) -> dict[str, object]:
    return {"pk": finished(world).pk}


ACCESS = {
    "calibration_list": Access(EVERYONE),
    "calibration_new": Access(STARTERS),
    "calibration_cost": Access(STARTERS),
    "calibration_detail": Access(OWNER, calibration_of),
    "calibration_json": Access(OWNER, calibration_of),
}
