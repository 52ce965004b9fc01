from typing import Any

from django.core.management.base import CommandParser

from provenance.errors import TouchmarkError
from provenance.management.base import TouchmarkCommand
from provenance.marks import PRESETS, MarkSettings, SettingsError, check_reach, families, get_family
from provenance.marks.settings import OPTION_NAMES
from provenance.models import Release, User, Version, WatermarkKey
from provenance.services import releases
from provenance.services.access import get_visible


class Command(TouchmarkCommand):
    help = "Mark one copy of a version for each recipient: commit to a key, record the beacon, derive, embed."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("version", help="id of a version that is ready")
        parser.add_argument("--recipient", action="append", required=True, help="once for each recipient")
        parser.add_argument("--preset", choices=list(PRESETS), default="balanced")
        parser.add_argument("--family", choices=list(families()), default="patch", help="what the mark looks like")
        parser.add_argument(
            "--association",
            choices=["associated", "plain"],
            default="associated",
            help="a pattern for each group, or one on all images without groups",
        )
        parser.add_argument("--group-by", choices=["class", "word"], default="class")
        parser.add_argument("--group", action="append", default=[], help="once for each group; without it the classes")
        parser.add_argument("--share", type=float, help="of each group's images, 0 to 1")
        parser.add_argument("--side", type=float, help="patch: of the short edge, 0.125 to 0.25")
        parser.add_argument("--opacity", type=float, help="patch: 0.3 to 1")
        parser.add_argument("--cells", type=int, help="patch: colour blocks per side, 2 to 8; from 4 for plain marks")
        parser.add_argument("--amplitude", type=float, help="blend and spectral: grey levels, 2 to 64")
        parser.add_argument("--bend", type=float, help="warp: of the short edge, 0.01 to 0.1")
        parser.add_argument(
            "--periods", type=int, help="blend, spectral and warp: periods across the short edge, 1 to 64"
        )
        parser.add_argument(
            "--alpha", type=float, default=0.05, help="refuse settings whose test cannot come to it (default 0.05)"
        )
        parser.add_argument("--key", help="id of a key drawn before; only with one recipient")
        parser.add_argument("--note", default="")
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        version = get_visible(Version, user, options["version"])
        key = get_visible(WatermarkKey, user, options["key"]) if options["key"] else None
        mark = self._mark(version, options)
        check_reach(mark, options["alpha"])
        planned = releases.plan_of(version, mark)
        if planned.warning:
            self.stderr.write(self.style.WARNING(planned.warning))
        made = releases.make_releases(version, options["recipient"], mark, by=user, note=options["note"], key=key)
        for release in made:
            if release.job:
                self.finish(release.job, options)
        return {"releases": [self._facts(Release.objects.get(pk=release.pk)) for release in made]}

    def _mark(self, version: Version, options: dict[str, Any]) -> MarkSettings:
        plain = options["association"] == "plain"
        if not plain and options["group_by"] == "word" and not options["group"]:
            raise TouchmarkError("Name the words that make the groups, each with --group.")
        groups = tuple(options["group"] or ([] if plain else releases.default_classes(version)))
        named = {name: options[name] for name in ("share", *OPTION_NAMES) if options[name] is not None}
        for name in named:
            if name in OPTION_NAMES and name not in get_family(options["family"]).options:
                raise SettingsError(f"The family '{options['family']}' has no {name}; leave it out.")
        return PRESETS[options["preset"]].settings(
            groups, options["group_by"], options["family"], association=options["association"], **named
        )

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
