"""Makes a pilot: what would an audit of a release with these settings find, and what would it cost?"""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from audits.models import Pilot
from audits.pilots.methods import METHODS
from audits.pilots.pilot.settings import PilotError, PilotSettings, Proposal
from audits.services.pilots import shown
from audits.services.pilots import starting as service
from provenance.management.base import TouchmarkCommand
from provenance.marks import PRESETS, families
from provenance.marks.settings import ASSOCIATIONS
from provenance.models import Blocking, User, Version
from provenance.services.clusters import named as named_clusters

_NUMBERS = (
    *("minutes", "runs", "references", "images", "epochs", "batch_size", "learning_rate", "side", "alpha"),
    *("probes", "group_images", "views", "permutations", "decoys", "threads"),
)
_HELP = {
    "minutes": "no training starts that would not end within them",
    "runs": "keys for each of the settings and methods, each with a training of its own",
    "references": "unmarked twins of each method",
    "images": "most that a training learns from",
    "decoys": "keys among which the true one of a plain mark is ranked; each asks as many images as there are probes",
}


class Command(TouchmarkCommand):
    help = "Train small models on marked and unmarked images of a version, audit them, and say what would be found."

    def add_options(self, parser: CommandParser) -> None:
        usual: dict[str, Any] = {one.name: one.default for one in fields(PilotSettings)}
        parser.add_argument("version", help="dataset, or id of a version, whose images are learnt from")
        parser.add_argument("--strengths", nargs="+", choices=list(PRESETS), default=[], help="of marks to try")
        parser.add_argument("--family", choices=list(families()), default="patch", help="of these marks")
        parser.add_argument(
            "--association",
            choices=ASSOCIATIONS,
            default=ASSOCIATIONS[0],
            help="of these marks: with classes, or plain",
        )
        parser.add_argument(
            "--clusters", default="", help="beginning of the digest of the clusters that are marked instead of classes"
        )
        parser.add_argument(
            "--at-home", nargs="+", type=float, default=[], help="shares of images that stay home, in per cent"
        )
        parser.add_argument("--blocks", default="", help="beginning of the digest of the blocks; the newest without it")
        parser.add_argument(
            "--marks", type=Path, action="append", default=[], help="further mark settings, a JSON file; repeat it"
        )
        parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(usual["methods"]))
        parser.add_argument(
            "--vary",
            nargs="+",
            default=[],
            metavar="KIND:VALUE",
            help="what is tried beside, by the first method, to see whether it holds elsewhere: method:NAME, "
            "encoder:NAME, side:PIXELS, mixed:PART, task:merged, task:brightness",
        )
        parser.add_argument("--others", default="", help="dataset, or id of a version, whose images are mixed in")
        parser.add_argument("--encoder", default=usual["encoder"])
        parser.add_argument("--device", choices=PilotSettings.DEVICES, default=usual["device"])
        for name in _NUMBERS:
            option, default = f"--{name.replace('_', '-')}", usual[name]
            parser.add_argument(option, type=_type_of(name), default=default, help=_HELP.get(name))
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        version = _version(user, options["version"])
        numbers = {name: options[name] for name in (*_NUMBERS, "encoder", "device")}
        others = str(_version(user, options["others"]).pk) if options["others"] else ""
        settings = PilotSettings(
            _proposals(version, options),
            seed=0,
            methods=tuple(options["methods"]),
            variations=tuple(options["vary"]),
            others=others,
            **numbers,
        )
        pilot = service.start(version, settings, by=user)
        assert pilot.job is not None  # noqa: S101 - start made it
        self.finish(pilot.job, options)
        pilot.refresh_from_db()
        answer: dict[str, Any] = {"pilot": str(pilot.pk), "job": str(pilot.job_id), "state": pilot.state}
        if pilot.state != Pilot.State.DONE:
            return answer
        told = shown.as_json(pilot)
        return answer | (told if options["json"] else {"advice": "\n" + "\n".join(told["advice"])})


def _type_of(name: str) -> type:
    return int if PilotSettings.__dataclass_fields__[name].metadata["type"] is int else float


def _version(user: User, wanted: str) -> Version:
    found = [one for one in service.may_pilot(user) if wanted in (str(one.pk), one.dataset.name)]
    if not found or len({one.dataset_id for one in found}) > 1:
        raise PilotError(f"{len(found) or 'No'} versions called “{wanted}” are open to you; name one by its id.")
    return max(found, key=lambda one: one.number)


def _proposals(version: Version, options: dict[str, Any]) -> tuple[Proposal, ...]:
    clusters = named_clusters(version, options["clusters"]) if options["clusters"] else None
    found = service.struck_proposals(
        version, options["family"], options["strengths"], association=options["association"], clusters=clusters
    )
    if options["at_home"]:
        shares = [share / 100 for share in options["at_home"]]
        found += service.withheld_proposals(_blocks(version, options["blocks"]), shares)
    return found + tuple(_from_file(path) for path in options["marks"])


def _blocks(version: Version, wanted: str) -> Blocking:
    found = version.blockings.filter(digest__startswith=wanted).order_by("-created_at").first()
    if found is None:
        raise PilotError("This version has no such blocks; make blocks of it first.")
    return found


def _from_file(path: Path) -> Proposal:
    try:
        return Proposal.from_json({"title": path.stem, "settings": json.loads(path.read_text(encoding="utf-8"))})
    except (OSError, ValueError) as error:
        raise PilotError(f"{path.name} holds no mark settings; give a JSON file.", str(error)) from error
