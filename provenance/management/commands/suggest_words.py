from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.management.base import CommandParser

from provenance.management.base import TouchmarkCommand
from provenance.marks.words import DEFAULT_COUNT, LEAST_COUNT, MOST_COUNT
from provenance.models import Role, User, Version
from provenance.services.access import get_visible
from provenance.services.words import order_words, words_of


class Command(TouchmarkCommand):
    help = "Suggest words of a version's captions that would make good groups; counts them where nobody did so yet."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("version", help="id of a version that is ready")
        parser.add_argument(
            "--count", type=int, help=f"how many, {LEAST_COUNT} to {MOST_COUNT} (default {DEFAULT_COUNT}); counts anew"
        )
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        version = get_visible(Version, user, options["version"])
        if not user.has_role(version.dataset.organisation, Role.RIGHTS_HOLDER):
            raise PermissionDenied("The words of its captions are for the rights-holders of a dataset.")
        state = words_of(version)
        if state.name in ("new", "failed", "none") or options["count"]:
            self.finish(order_words(version, by=user, count=options["count"] or DEFAULT_COUNT), options)
            version.refresh_from_db()
            state = words_of(version)
        elif state.job and state.name == "counting":
            self.finish(state.job, options)
            version.refresh_from_db()
            state = words_of(version)
        return {
            "version": str(version.pk),
            "state": state.name,
            "job": str(state.job.pk) if state.job else None,
            **(state.found or {}),
        }
