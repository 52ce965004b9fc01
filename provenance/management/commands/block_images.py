from dataclasses import fields
from typing import Any

from django.core.management.base import CommandParser

from provenance.blocking.rule import BlockRule
from provenance.management.base import TouchmarkCommand
from provenance.models import Job, User, Version
from provenance.services.access import get_visible
from provenance.services.blockings import order_blocks, with_signs
from provenance.services.clusters import named

DEFAULTS = {field.name: field.default for field in fields(BlockRule)}


class Command(TouchmarkCommand):
    help = "Put the images of a version into blocks of which a key may keep one home: make_release --withhold."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("version", help="id of a version that is ready")
        parser.add_argument(
            "--block-size",
            type=int,
            default=DEFAULTS["block_size"],
            help="alternatives of a block, 2 to 16 (default 4)",
        )
        parser.add_argument(
            "--distance",
            type=int,
            default=DEFAULTS["distance"],
            help="images whose perceptual hashes differ in at most so many of 256 bits stay together (default 31)",
        )
        parser.add_argument(
            "--unit-column",
            default="",
            metavar="NAME",
            help="a column of the CSV of labels: what says the same there stays together (burst, video, person)",
        )
        parser.add_argument(
            "--folder-level",
            type=int,
            default=0,
            help="images below the same first so many folders stay together (default 0: folders say nothing)",
        )
        parser.add_argument(
            "--clusters",
            default="",
            metavar="DIGEST",
            help="make blocks within these clusters and classes, of images that are near in the encoder's features",
        )
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        version = get_visible(Version, user, options["version"])
        chosen = {name: options[name] for name in DEFAULTS if name != "signs"}
        if chosen["clusters"]:
            chosen["clusters"] = named(version, chosen["clusters"]).digest
        rule = with_signs(version, BlockRule(**chosen))
        job = order_blocks(version, rule, by=user)
        self.finish(job, options)
        job.refresh_from_db()
        found = version.blockings.filter(rule=rule.to_dict()).first() if job.state == Job.State.DONE else None
        answer: dict[str, Any] = {"version": str(version.pk), "job": str(job.pk), "state": job.state}
        if found is None:
            return answer
        counts = {"blocks": found.blocks, "units": found.units, "images_in_blocks": found.images_in_blocks}
        return answer | {"blocking": found.digest, "block_size": found.block_size, **counts, **found.facts}
