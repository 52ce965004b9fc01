from typing import Any

from django.core.management.base import CommandParser

from provenance.management.base import TouchmarkCommand
from provenance.models import User, Version
from provenance.services.access import get_visible
from provenance.services.near_duplicates import near_duplicates_of, order_count


class Command(TouchmarkCommand):
    help = "Count the images of a version that look alike though their bytes differ."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("version", help="id of a version that is ready")
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        version = get_visible(Version, user, options["version"])
        if near_duplicates_of(version).found is None:
            self.finish(order_count(version, by=user), options)
            version.refresh_from_db()
        state = near_duplicates_of(version)
        return {"version": str(version.pk), "state": state.name, **(state.found or {})}
