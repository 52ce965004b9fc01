from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.management.base import CommandParser

from provenance.management.base import TouchmarkCommand
from provenance.marks import PRESETS, families
from provenance.models import Role, User, Version
from provenance.services.access import get_visible
from provenance.services.presets import Cost, cost_of, order_trials
from provenance.services.release_plans import default_classes


class Command(TouchmarkCommand):
    help = "What each preset costs and brings in a version: images, bytes, PSNR measured on a few of its images."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("version", help="id of a version that is ready")
        parser.add_argument("--family", choices=list(families()), default="patch")
        parser.add_argument("--association", choices=["associated", "plain"], default="associated")
        parser.add_argument("--group-by", choices=["class", "word"], default="class")
        parser.add_argument("--group", action="append", default=[], help="once for each group; without it the classes")
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        version = get_visible(Version, user, options["version"])
        if not user.has_role(version.dataset.organisation, Role.RIGHTS_HOLDER):
            raise PermissionDenied("What presets would mark in a dataset is for its rights-holders.")
        plain = options["association"] == "plain"
        groups = tuple(options["group"] or ([] if plain else default_classes(version)))
        marks = {
            name: preset.settings(groups, options["group_by"], options["family"], association=options["association"])
            for name, preset in PRESETS.items()
        }
        if job := order_trials(version, list(marks.values()), by=user):
            self.finish(job, options)
        return {
            "version": str(version.pk),
            "family": options["family"],
            "association": options["association"],
            "presets": [_facts(name, cost_of(version, mark)) for name, mark in marks.items()],
        }


def _facts(name: str, cost: Cost) -> dict[str, Any]:
    trial = cost.trial if cost.trial and cost.trial.marked else None
    groups = [] if cost.plan is None else [(group.name, group.marked) for group in cost.plan.groups]
    return {
        "preset": name,
        "says": PRESETS[name].describe(cost.mark.family, cost.mark.association),
        "refusal": cost.refusal,
        "share": cost.mark.share,
        "marked": cost.plan.marked if cost.plan else None,
        "groups": dict(groups),
        "bytes_written": cost.bytes_written,
        "smallest_p": None if cost.mark.is_plain else cost.mark.smallest_p,
        "psnr": trial.psnr if trial else None,
        "psnr_lowest": trial.lowest_psnr if trial else None,
        "psnr_highest": trial.highest_psnr if trial else None,
        "measured_on": trial.marked if trial else 0,
    }
