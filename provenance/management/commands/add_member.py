"""Adds a member to an organisation, and with --create the organisation too: how the first administrator comes in."""

from typing import Any

from django.core.management.base import CommandParser

from provenance.management.base import TouchmarkCommand
from provenance.models import Organisation, Role, User
from provenance.services.people import MemberError, add_member, create_organisation


class Command(TouchmarkCommand):
    help = "Add a member to an organisation. Prints the drawn password of a new person once."
    # The first person of an instance has nobody to be added by; whoever has this shell has the database too.
    acts_for_a_person = False

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--organisation", required=True, help="its name")
        parser.add_argument("--role", action="append", required=True, choices=Role.values, help="may be repeated")
        parser.add_argument("--full-name", default="", help="as the log and reports should print it")
        parser.add_argument("--create", action="store_true", help="set up the organisation if there is none yet")
        parser.add_argument("--contact", default="", help="of an organisation that is set up; reports print it")

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        name = options["organisation"]
        organisation = Organisation.objects.filter(name=name).first()
        if organisation is None:
            if not options["create"]:
                raise MemberError(f"There is no organisation “{name}”; add --create to set it up.")
            organisation = create_organisation(name, contact=options["contact"], by=None)
        added = add_member(organisation, options["username"], options["role"], by=None, full_name=options["full_name"])
        answer = {"organisation": str(organisation.pk), "username": added.user.username, "roles": options["role"]}
        return answer | ({"password": added.password} if added.password else {})
