from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.management.base import CommandParser

from provenance.management.base import TouchmarkCommand
from provenance.models import Release, Role, User
from provenance.services.access import get_visible
from provenance.services.inspections import MOST, inspection_of, order_inspection
from provenance.wording import structure_sentence


class Command(TouchmarkCommand):
    help = "Try whether the marked files of a release can be told from others by their structure; for its owner."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("release", help="id of a release that is ready")
        parser.add_argument("--seed", type=int, help="of halves and training (default 1); inspects anew")
        parser.add_argument(
            "--most", type=int, help=f"marked files that are looked at, at most (default {MOST}); inspects anew"
        )
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        release = get_visible(Release, user, options["release"])
        if not user.has_role(release.version.dataset.organisation, Role.RIGHTS_HOLDER):
            raise PermissionDenied("Only a rights-holder of the owner may inspect a copy.")
        state = inspection_of(release)
        anew = options["seed"] is not None or options["most"] is not None
        if state.job and state.name == "running":
            self.finish(state.job, options)
        elif anew or state.name in ("new", "failed"):
            seed, most = (1 if options["seed"] is None else options["seed"]), options["most"] or MOST
            self.finish(order_inspection(release, by=user, seed=seed, most=most), options)
        release.refresh_from_db()
        state = inspection_of(release)
        return {
            "release": str(release.pk),
            "state": state.name,
            "job": str(state.job.pk) if state.job else None,
            "says": structure_sentence(state.found) if state.found else None,
            **(state.found or {}),
        }
