from typing import Any

from django.core.management.base import CommandParser

from provenance.management.base import TouchmarkCommand
from provenance.models import User, Version
from provenance.services import keys
from provenance.services.access import get_visible


class Command(TouchmarkCommand):
    help = "Draw a key for one release of a version. Its bytes are never shown; make_release commits to it."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("version", help="id of a version that is ready")

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        version = get_visible(Version, user, options["version"])
        key = keys.draw(version, by=user)
        return {
            "key": str(key.pk),
            "version": str(version.pk),
            "state": key.state,
            "drawn_at": key.drawn_at.isoformat(),
        }
