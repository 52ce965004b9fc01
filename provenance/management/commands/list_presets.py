from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.management.base import CommandParser

from provenance.management.base import TouchmarkCommand
from provenance.management.grouping import add_grouping, grouping_of
from provenance.marks import PRESETS, MarkSets, SettingsError, VersionsSettings, WithheldSettings, families
from provenance.marks.presets import UNTOUCHED, UNTOUCHED_SAYS, VERSIONS_SAYS
from provenance.marks.reach import check_choice, check_versions
from provenance.marks.versions import VERSIONS
from provenance.marks.withheld import DEFAULT_SHARE
from provenance.models import Role, User, Version
from provenance.services.access import get_visible
from provenance.services.keyed_choices import VersionsPlan, plan_from
from provenance.services.near_duplicates import leaving_out
from provenance.services.presets import Cost, cost_of, order_trials


class Command(TouchmarkCommand):
    help = "What each preset costs and brings in a version: images, bytes, PSNR measured on a few of its images."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("version", help="id of a version that is ready")
        parser.add_argument("--family", choices=list(families()), default="patch")
        add_grouping(parser)
        parser.add_argument(
            "--near-duplicates",
            choices=["leave-out", "mark"],
            default="leave-out",
            help="what becomes of images that have a near-duplicate, where these have been counted",
        )
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        version = get_visible(Version, user, options["version"])
        if not user.has_role(version.dataset.organisation, Role.RIGHTS_HOLDER):
            raise PermissionDenied("What presets would mark in a dataset is for its rights-holders.")
        grouping = grouping_of(version, options)
        marks = {name: preset.settings(family=options["family"], **grouping) for name, preset in PRESETS.items()}
        if options["near_duplicates"] == "leave-out" and version.near_duplicates is not None:
            marks = {name: leaving_out(version, MarkSets((mark,))).struck[0] for name, mark in marks.items()}
        if job := order_trials(version, list(marks.values()), by=user):
            self.finish(job, options)
        return {
            "version": str(version.pk),
            "family": options["family"],
            "association": options["association"],
            "presets": [_facts(name, cost_of(version, mark, wait=True)) for name, mark in marks.items()],
            UNTOUCHED: _untouched(version),
            VERSIONS: _versions(version),
        }


def _untouched(version: Version) -> dict[str, Any]:
    """What would stay home with the newest blocks and the usual share."""
    row, says = version.blockings.first(), {"says": UNTOUCHED_SAYS}
    if row is None:
        return says | {"refusal": "The images of this version are not in blocks yet. The command block_images does it."}
    plan = plan_from(row, WithheldSettings(row.digest, row.block_size, min(DEFAULT_SHARE, 1 / row.block_size)))
    counts = {"blocks_used": plan.blocks, "blocks": plan.blocks_there, "units": plan.units, "stay_home": plan.at_home}
    try:
        check_choice(plan.settings, plan.blocks, plan.blocks_there)
    except SettingsError as error:
        return says | counts | {"blocking": row.digest, "refusal": error.sentence}
    return says | counts | {"blocking": row.digest, "smallest_p": plan.smallest_p, "refusal": ""}


def _versions(version: Version) -> dict[str, Any]:
    """What would come in two versions, if all images do that can."""
    plan = VersionsPlan(VersionsSettings(), version.file_count)
    facts = {"says": VERSIONS_SAYS, "images": plan.wanted, "decibels": plan.settings.decibels}
    try:
        check_versions(plan.settings, plan.wanted)
    except SettingsError as error:
        return facts | {"refusal": error.sentence}
    return facts | {"smallest_p": plan.smallest_p, "refusal": ""}


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
        "tried": cost.trial.tried if cost.trial else 0,
        "can_carry": cost.trial.share if cost.trial else None,
        "passed_over": cost.trial.passed_over if cost.trial else {},
        "patterns_tried": cost.trial.patterns if cost.trial else 0,
        "patterns_carried": cost.trial.carried if cost.trial else 0,
        "chance_of_a_bare_group": round(cost.bare_group, 4),
    }
