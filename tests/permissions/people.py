from tests.permissions.access import Access
from tests.world import World

ADMINISTRATOR = frozenset({"administrator"})
# Whoever administers some organisation sees the page of their own ones.
ADMINISTRATORS = frozenset({"administrator", "outsider"})


def owner(world: World) -> dict[str, object]:
    return {"organisation": world.owner.pk}


def owners_auditor(world: World) -> dict[str, object]:
    return {"organisation": world.owner.pk, "user": world.auditor.pk}


ACCESS = {
    "people": Access(ADMINISTRATORS),
    "organisation_add": Access(ADMINISTRATORS),
    "organisation_edit": Access(ADMINISTRATOR, owner),
    "member_add": Access(ADMINISTRATOR, owner),
    "member_roles": Access(ADMINISTRATOR, owners_auditor),
    "member_remove": Access(ADMINISTRATOR, owners_auditor, method="post"),
    "member_password": Access(ADMINISTRATOR, owners_auditor, method="post"),
}
