"""Runs a calibration: does every test keep its error rate over models that never saw a release?"""

from typing import Any

from django.core.management.base import CommandParser

from audits.calibration.rounds import CalibrationError
from audits.models import Calibration, RegisteredModel
from audits.services.calibrations import starting as service
from audits.services.calibrations.notes import others_sentence, sentence
from audits.services.plans.drafting import auditable_versions
from provenance.management.base import TouchmarkCommand
from provenance.marks import families
from provenance.models import Organisation, User, Version
from provenance.wording import verdict

DOES_NOT_HOLD, TOO_FEW_PAIRS = 3, 4


class Command(TouchmarkCommand):
    help = (
        "Calibrate the tests: rejections among null models with random keys, for every family, level and test. "
        "Exit code 0: every test kept its error rate (or the job was queued); 3: one did not; 4: there are "
        "too few pairs to tell; 1: refused or failed."
    )

    def add_options(self, parser: CommandParser) -> None:
        usual = service.Wanted()
        parser.add_argument("--organisation", default="", help="its name; needed by members of several")
        parser.add_argument("--families", nargs="+", choices=list(families()), default=list(usual.families))
        parser.add_argument("--rounds", type=int, default=usual.rounds, help="rounds of each family")
        parser.add_argument("--models", type=int, default=usual.models, help="null models in each round")
        parser.add_argument("--pairs", type=int, default=usual.pairs, help="pairs of model and key in each round")
        parser.add_argument("--seed", type=int, help="drawn at random if left out")
        parser.add_argument(
            "--images", default="", help="dataset, or id of a version, whose images serve; procedural scenes without it"
        )
        parser.add_argument(
            "--reference", action="append", default=[], help="name or id of a registered reference; repeat it"
        )
        parser.add_argument("--cost", action="store_true", help="say what it would cost, and start nothing")
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        organisation = _organisation(user, options["organisation"])
        wanted = service.Wanted(
            families=tuple(options["families"]),
            rounds=options["rounds"],
            models=options["models"],
            pairs=options["pairs"],
            seed=options["seed"],
            version=_version(user, options["images"]) if options["images"] else None,
            references=[_reference(user, name) for name in options["reference"]],
        )
        service.check(wanted)
        if options["cost"]:
            cost = service.cost(wanted)
            return {"forward_passes": cost.passes, "p_values": cost.p_values, "estimated_seconds": round(cost.seconds)}
        calibration = service.start(organisation, wanted, by=user)
        assert calibration.job is not None  # noqa: S101 - start made it
        self.finish(calibration.job, options)
        calibration.refresh_from_db()
        answer: dict[str, Any] = {
            "calibration": str(calibration.pk),
            "job": str(calibration.job_id),
            "state": calibration.state,
        }
        if calibration.state != Calibration.State.DONE:
            return answer
        table = service.table_of(calibration)
        answer |= {"holds": table.holds, "error_rate": verdict(table.holds)}
        answer |= {"sentence": sentence(table), "others": others_sentence(table)}
        answer |= {"table": calibration.table} if options["json"] else {"table": "\n" + table.to_markdown()}
        return answer | {"exit_code": {True: 0, False: DOES_NOT_HOLD, None: TOO_FEW_PAIRS}[table.holds]}


def _organisation(user: User, wanted: str) -> Organisation:
    found = [one for one in user.organisations(*service.ROLES) if wanted in ("", one.name)]
    if len(found) != 1:
        raise CalibrationError(
            f"{user.display_name} may calibrate for {len(found) or 'no'} such organisations; with --organisation name "
            "one whose auditor or administrator they are."
        )
    return found[0]


def _version(user: User, wanted: str) -> Version:
    found = [one for one in auditable_versions(user) if wanted in (str(one.pk), one.dataset.name)]
    if not found or len({one.dataset_id for one in found}) > 1:
        raise CalibrationError(f"{len(found) or 'No'} versions called “{wanted}” are open to you; name one by its id.")
    return max(found, key=lambda one: one.number)


def _reference(user: User, wanted: str) -> RegisteredModel:
    found = [one for one in service.usable_references(user) if wanted in (str(one.pk), one.name)]
    if len(found) != 1:
        raise CalibrationError(f"{len(found) or 'No'} connected references are called “{wanted}”.")
    return found[0]
