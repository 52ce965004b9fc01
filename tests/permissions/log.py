from provenance.services.log import record
from tests.permissions.access import EVERYONE, OWNER, Access
from tests.world import World


def entry(world: World) -> dict[str, object]:
    written = record("member.added", world.auditor, organisation=world.owner, by=world.administrator)
    return {"organisation": world.owner.pk, "seq": written.seq}


ACCESS = {
    "log_list": Access(EVERYONE),
    "log_entry": Access(OWNER, entry),
    "log_check": Access(OWNER, lambda world: {"organisation": world.owner.pk}),
}
