import json
from typing import Any

from django.core.management.base import CommandParser

from provenance.management.base import TouchmarkCommand
from provenance.management.grouping import add_grouping, grouping_of
from provenance.management.keyed_choices import add_versions, add_withholding, choice_of
from provenance.marks import PRESETS, MarkSets, MarkSettings, SettingsError, families, get_family
from provenance.marks.bans import read_bans
from provenance.marks.presets import UNTOUCHED
from provenance.marks.settings import OPTION_NAMES
from provenance.marks.versions import VERSIONS
from provenance.models import Release, User, Version, WatermarkKey
from provenance.services import releases
from provenance.services.access import get_visible
from provenance.services.keyed_choices import plan_of_choice
from provenance.services.near_duplicates import leaving_out, order_count
from provenance.services.release_comparison import compared
from provenance.services.release_plans import plan_sets, small_images, within_sizes
from provenance.services.release_report import set_reports

SET_OPTIONS = (
    *("preset", "family", "association", "group_by", "groups", "clusters", "share"),
    *OPTION_NAMES,
    *("size_classes", "forbid"),
)


class Command(TouchmarkCommand):
    help = "Mark one copy of a version for each recipient: commit to a key, record the beacon, derive, embed."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("version", help="id of a version that is ready")
        parser.add_argument("--recipient", action="append", required=True, help="once for each recipient")
        parser.add_argument("--preset", choices=[*PRESETS, UNTOUCHED, VERSIONS], default="balanced")
        parser.add_argument("--family", choices=list(families()), default="patch", help="what the mark looks like")
        add_grouping(parser)
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
            "--finest",
            type=int,
            help="spectral: the finest waves, as DCT coefficient 7 to 9 (default 9); lower for small JPEG files, whose "
            "colour is held at half of their pixels",
        )
        parser.add_argument(
            "--size-classes",
            type=float,
            metavar="FACTOR",
            help="exchange patterns only between groups whose numbers of marked images differ by at most this factor",
        )
        parser.add_argument(
            "--forbid",
            action="append",
            default=[],
            metavar="PATTERN:GROUP",
            help='a pattern, counted from 1, that must not mark a group: --forbid "2:dog"; once for each ban',
        )
        parser.add_argument(
            "--set",
            action="append",
            metavar="JSON",
            help="one mark set of several, at most 4, as an object of the options above without dashes, for instance "
            '{"family": "blend", "association": "plain"}; groups and forbid are lists; what it leaves out comes '
            "from the options beside it",
        )
        parser.add_argument(
            "--alpha", type=float, default=0.05, help="refuse settings whose test cannot come to it (default 0.05)"
        )
        parser.add_argument(
            "--near-duplicates",
            choices=["leave-out", "mark"],
            default="leave-out",
            help="what becomes of images that have a near-duplicate; to leave them out they have to be counted, which "
            "--wait and --here see to",
        )
        parser.add_argument("--key", help="id of a key drawn before; only with one recipient")
        parser.add_argument("--note", default="")
        parser.add_argument(
            "--drop-claims",
            action="store_true",
            help="drop content credentials, gain maps and further pictures from all files of the copy; without it, "
            "images that carry them stay unmarked",
        )
        add_withholding(parser)
        add_versions(parser)
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        version = get_visible(Version, user, options["version"])
        key = get_visible(WatermarkKey, user, options["key"]) if options["key"] else None
        struck = [_mark(version, one) for one in _sets(options)]
        choice = choice_of(version, options)
        marks = MarkSets((*struck, *([choice] if choice else [])))
        marks.check_reach(options["alpha"])
        plan_of_choice(version, marks, options["alpha"])
        if struck and options["near_duplicates"] == "leave-out":
            self._count_near_duplicates(version, user, options)
            marks = leaving_out(version, marks)
        for mark, planned in zip(marks.struck, plan_sets(version, marks), strict=True):
            for warning in filter(None, (planned.warning, small_images(version, mark))):
                self.stderr.write(self.style.WARNING(warning))
        made = releases.make_releases(
            version,
            options["recipient"],
            marks,
            by=user,
            note=options["note"],
            key=key,
            drop_claims=options["drop_claims"],
            outlets=options["outlets"],
        )
        for release in made:
            if release.job:
                self.finish(release.job, options)
        return {"releases": [self._facts(Release.objects.get(pk=release.pk)) for release in made]}

    def _count_near_duplicates(self, version: Version, user: User, options: dict[str, Any]) -> None:
        if version.near_duplicates is None and (options["here"] or options["wait"]):
            self.finish(order_count(version, by=user), options)
            version.refresh_from_db()

    def _facts(self, release: Release) -> dict[str, Any]:
        comparison = compared(release) if release.state == Release.State.READY else None
        return {
            "release": str(release.pk),
            "recipient": release.recipient,
            "state": release.state,
            "job": str(release.job_id),
            "key": str(release.key_id),
            "commitment": release.key.commitment,
            "root": release.root,
            "marked": release.marked_count,
            "withheld": release.facts.get("withheld"),
            "versions": release.facts.get("versions"),
            "outlets": release.outlets,
            "claims_dropped": release.facts.get("claims_dropped"),
            "missing": releases.missing_marks(release.facts) if release.facts else None,
            "passed_over": release.facts.get("passed_over", {}),
            "no_candidates": [report.no_candidates for report in set_reports(release)] if release.facts else [],
            "differs_from_original": comparison and comparison.original,
            "differs_from": {str(other.release.pk): other.differ for other in comparison.others} if comparison else {},
            "folder": str(release.folder),
        }


def _sets(options: dict[str, Any]) -> list[dict[str, Any]]:
    """The options of every struck set: those of the command, changed by what each --set says."""
    if options["preset"] in (UNTOUCHED, VERSIONS):
        if options["set"]:
            copy = "an untouched copy" if options["preset"] == UNTOUCHED else "a copy of versions alone"
            raise SettingsError(f"Nothing is struck into {copy}: leave --set out, or choose another preset.")
        return []
    common = {name: options[name] for name in SET_OPTIONS}
    return [_changed(common, _read_set(text)) for text in options["set"] or ["{}"]]


def _changed(common: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """A set takes over what is meant for it: not the groups of others if it is plain, not another family's options."""
    kept = dict(common)
    if own.get("association") == "plain":
        kept |= {"groups": [], "clusters": "", "forbid": [], "size_classes": None}
    if own.get("family") in families():
        kept |= {name: None for name in OPTION_NAMES if name not in get_family(own["family"]).options}
    return kept | own


def _read_set(text: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise SettingsError(f"A mark set is a JSON object; this is not: {text[:80]}")
    if strange := sorted(set(read) - set(SET_OPTIONS)):
        raise SettingsError(f"A mark set has no {', '.join(strange)}. It has: {', '.join(SET_OPTIONS)}.")
    for name in ("groups", "forbid"):
        if not _is_list_of_text(read.get(name, [])):
            raise SettingsError(f"In a mark set, {name} is a list of texts.")
    if not isinstance(read.get("size_classes", 1), int | float):
        raise SettingsError("In a mark set, size_classes is the factor by which sizes may differ.")
    return read


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _mark(version: Version, options: dict[str, Any]) -> MarkSettings:
    family, preset, plain = options["family"], PRESETS.get(options["preset"]), options["association"] == "plain"
    if preset is None:
        raise SettingsError(f"There is no preset '{options['preset']}'. Choose one of: {', '.join(PRESETS)}.")
    if family not in families():
        raise SettingsError(f"There is no mark family '{family}'. Choose one of: {', '.join(families())}.")
    named = {name: options[name] for name in ("share", *OPTION_NAMES) if options[name] is not None}
    for name in named:
        if name in OPTION_NAMES and name not in get_family(family).options:
            raise SettingsError(f"The family '{family}' has no {name}; leave it out.")
    mark = preset.settings(family=family, **grouping_of(version, options), **named)
    if plain and (options["forbid"] or options["size_classes"] is not None):
        raise SettingsError("Plain marks have no groups: leave size classes and bans out.")
    if options["size_classes"] is not None:
        mark = within_sizes(version, mark, options["size_classes"], wait=True)
    return mark.replace(forbidden=read_bans(options["forbid"], mark.groups)) if options["forbid"] else mark
