from typing import Any

from django.core.management.base import CommandParser

from provenance.management.base import TouchmarkCommand
from provenance.models import User, Version
from provenance.services.access import get_visible
from provenance.services.lost_manifests import give_up


class Command(TouchmarkCommand):
    help = (
        "Give up the manifest of a version that is lost for good. The version then counts as sharing images with every "
        "other one of its organisation, until the manifest is back."
    )

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("version", help="id of a version whose manifest is not on the server any more")
        parser.add_argument("--reason", required=True, help="how it was lost; stays with the version and in the log")

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        version = get_visible(Version, user, options["version"])
        give_up(version, options["reason"], by=user)
        given_up_at = version.given_up_at.isoformat() if version.given_up_at else None
        return {"version": str(version.pk), "given_up_at": given_up_at, "reason": version.given_up_because}
