"""Registers unmarked twins of a pilot as references of its organisation."""

from typing import Any

from django.core.management.base import CommandParser

from audits.models import Pilot
from audits.pilots.pilot.settings import PilotError
from audits.services.models.registering import DECLARATION
from audits.services.pilots import shown, twins
from provenance.management.base import TouchmarkCommand
from provenance.models import User


class Command(TouchmarkCommand):
    help = "Register unmarked twins of a finished pilot as references."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("pilot", help="id of a finished pilot")
        parser.add_argument("--twin", action="append", default=[], help="name of a twin; repeat it (default: all)")
        parser.add_argument("--declare", action="store_true", help=f"declare for each: {DECLARATION}")
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        pilot = next((one for one in shown.visible(user) if str(one.pk) == options["pilot"]), None)
        if pilot is None or pilot.state != Pilot.State.DONE:
            raise PilotError(f"No finished pilot with the id {options['pilot']} is open to {user.display_name}.")
        there = twins.twins_of(pilot)
        left = [twin.name for twin in there if twin.may_register]
        names = options["twin"] or left or [twin.name for twin in there]  # where none is left, it is said why
        job = twins.start(pilot, names, declared=options["declare"], by=user)
        self.finish(job, options)
        models = {twin.name: str(twin.model.pk) for twin in twins.twins_of(pilot) if twin.model}
        return {"pilot": str(pilot.pk), "job": str(job.pk), "references": models}
