"""Measures robustness: how often small models are found before and after each attack."""

from typing import Any

from django.core.management.base import CommandParser

from audits.models import Robustness
from audits.pilots.methods import METHODS
from audits.robustness.attacks.catalogue import CATALOGUE
from audits.robustness.copies import RobustnessError
from audits.services.robustness import shown
from audits.services.robustness import starting as service
from provenance.management.base import TouchmarkCommand
from provenance.marks import families
from provenance.marks.settings import ASSOCIATIONS
from provenance.models import Organisation, User, Version


class Command(TouchmarkCommand):
    help = (
        "Measure robustness: small models are trained on copies, marked with keys drawn for the purpose, and audited "
        "before and after each attack. Rows that are done are kept, so a job that is stopped goes on with the next."
    )

    def add_options(self, parser: CommandParser) -> None:
        usual = service.Wanted()
        parser.add_argument("--organisation", default="", help="its name; needed by members of several")
        parser.add_argument("--images-of", default="", help="id of a ready version; procedural scenes without it")
        parser.add_argument("--images", type=int, default=usual.images, help="how many; the owner has half of them")
        parser.add_argument("--marks", choices=service.MARKS, default=usual.mark)
        parser.add_argument("--family", choices=list(families()), default=usual.family, help="of marks that are struck")
        parser.add_argument(
            "--association",
            choices=ASSOCIATIONS,
            default=usual.association,
            help="of marks that are struck: with classes, or plain",
        )
        parser.add_argument(
            "--decoys",
            type=int,
            default=usual.decoys,
            help="keys among which the true one of a plain mark is ranked; each asks every model 200 images",
        )
        parser.add_argument("--block-size", type=int, default=usual.block_size, help="of withheld images")
        parser.add_argument("--share", type=float, default=usual.share, help="of withheld images that stay home")
        parser.add_argument("--method", choices=METHODS, default=usual.method)
        parser.add_argument("--encoder", default=usual.encoder, help="CLIP has its own")
        parser.add_argument("--side", type=int, default=usual.side, help="of the images in pixels; CLIP has its own")
        parser.add_argument("--epochs", type=int, default=usual.epochs)
        parser.add_argument("--attacks", nargs="+", choices=CATALOGUE, default=list(usual.attacks))
        parser.add_argument("--trials", type=int, default=usual.trials, help="keys, each with seeds of its own")
        parser.add_argument("--references", type=int, default=usual.references)
        parser.add_argument("--seed", type=int, help="drawn at random if left out")
        parser.add_argument("--cost", action="store_true", help="say what it would cost, and start nothing")
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        same = (
            *("images", "family", "association", "decoys", "block_size", "share"),
            *("method", "encoder", "side", "epochs", "trials", "references", "seed"),
        )
        wanted = service.Wanted(
            version=_version(user, options["images_of"]) if options["images_of"] else None,
            mark=options["marks"],
            attacks=tuple(options["attacks"]),
            **{name: options[name] for name in same},
        )
        service.check(wanted)
        if options["cost"]:
            cost = shown.cost(wanted)
            return {
                "trainings": cost.trainings,
                "lines": cost.rows,
                "images_seen": cost.seen,
                "images_asked": cost.asked,
            }
        made = service.start(_organisation(user, wanted, options["organisation"]), wanted, by=user)
        assert made.job is not None  # noqa: S101 - start made it
        self.finish(made.job, options)
        made = Robustness.objects.get(pk=made.pk)
        answer: dict[str, Any] = {"robustness": str(made.pk), "job": str(made.job_id), "state": made.state}
        if made.state != Robustness.State.DONE:
            return answer
        table = shown.table_by_now(made)
        assert table is not None  # noqa: S101 - it is done
        return answer | {"table": table.to_json() if options["json"] else "\n" + table.to_markdown()}


def _version(user: User, wanted: str) -> Version:
    found = [one for one in service.usable_versions(user) if wanted == str(one.pk)]
    if not found:
        raise RobustnessError(f"No version {wanted} is open to you; name a ready one of your organisation by its id.")
    return found[0]


def _organisation(user: User, wanted: service.Wanted, name: str) -> Organisation:
    if wanted.version is not None:
        return wanted.version.dataset.organisation
    found = [one for one in user.organisations(*service.ROLES) if name in ("", one.name)]
    if len(found) != 1:
        raise RobustnessError(
            f"{user.display_name} may start this for {len(found) or 'no'} such organisations; with --organisation "
            "name one whose rights-holder or auditor they are."
        )
    return found[0]
