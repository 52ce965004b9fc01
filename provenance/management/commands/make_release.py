from typing import Any

from django.core.management.base import CommandParser

from provenance.errors import TouchmarkError
from provenance.management.base import TouchmarkCommand
from provenance.marks import PRESETS
from provenance.models import Release, User, Version, WatermarkKey
from provenance.services import releases
from provenance.services.access import get_visible


class Command(TouchmarkCommand):
    help = "Mark one copy of a version for each recipient: commit to a key, record the beacon, derive, embed."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("version", help="id of a version that is ready")
        parser.add_argument("--recipient", action="append", required=True, help="once for each recipient")
        parser.add_argument("--preset", choices=list(PRESETS), default="balanced")
        parser.add_argument("--group-by", choices=["class", "word"], default="class")
        parser.add_argument("--group", action="append", default=[], help="once for each group; without it the classes")
        parser.add_argument("--share", type=float, help="of each group's images, 0 to 1")
        parser.add_argument("--side", type=float, help="of the short edge, 0.125 to 0.25")
        parser.add_argument("--opacity", type=float, help="0.3 to 1")
        parser.add_argument("--cells", type=int, help="colour blocks per side, 2 to 8")
        parser.add_argument("--key", help="id of a key drawn before; only with one recipient")
        parser.add_argument("--note", default="")
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        version = get_visible(Version, user, options["version"])
        key = get_visible(WatermarkKey, user, options["key"]) if options["key"] else None
        if options["group_by"] == "word" and not options["group"]:
            raise TouchmarkError("Name the words that make the groups, each with --group.")
        groups = tuple(options["group"] or releases.default_classes(version))
        changes = {n: options[n] for n in ("share", "side", "opacity", "cells") if options[n] is not None}
        mark = PRESETS[options["preset"]].settings(groups, options["group_by"], **changes)
        planned = releases.plan(version, mark.group_by, mark.groups, mark.share)
        if planned.warning:
            self.stderr.write(self.style.WARNING(planned.warning))
        made = releases.make_releases(version, options["recipient"], mark, by=user, note=options["note"], key=key)
        for release in made:
            if release.job:
                self.finish(release.job, options)
        return {"releases": [self._facts(Release.objects.get(pk=release.pk)) for release in made]}

    def _facts(self, release: Release) -> dict[str, Any]:
        return {
            "release": str(release.pk),
            "recipient": release.recipient,
            "state": release.state,
            "job": str(release.job_id),
            "key": str(release.key_id),
            "commitment": release.key.commitment,
            "root": release.root,
            "marked": release.marked_count,
            "folder": str(release.folder),
        }
