import re
from typing import Any

from django.core.management.base import CommandParser

from audits.services.reports.issued import published_heads
from provenance.errors import TouchmarkError
from provenance.management.base import REFUSED, TouchmarkCommand
from provenance.models import Organisation, User
from provenance.services import log
from provenance.wording import count

_PUBLISHED = re.compile(r"(\d+):([0-9a-f]{64})\Z")


class Command(TouchmarkCommand):
    help = "Checks the chain of the evidence log and names every row that was altered, removed, moved or inserted."
    acts_for_a_person = False

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--organisation", help="name of one organisation; all are checked without it")
        parser.add_argument(
            "--published",
            action="append",
            default=[],
            metavar="ROW:HASH",
            help="a row number and its hash as a report prints them; needs --organisation; may be repeated",
        )

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        named = options["organisation"]
        if options["published"] and not named:
            raise TouchmarkError("Say --organisation as well: every organisation has its own log.")
        organisations = list(Organisation.objects.filter(name=named) if named else Organisation.objects.all())
        if named and not organisations:
            raise TouchmarkError(f"There is no organisation named “{named}”.")
        published = dict(_published(text) for text in options["published"])
        checked = [_check(organisation, published) for organisation in organisations]
        intact = all(each["intact"] for each in checked)
        return {"intact": intact, "organisations": checked, "exit_code": 0 if intact else REFUSED}

    def _print(self, answer: dict[str, Any], options: dict[str, Any]) -> None:
        if options["json"]:
            super()._print(answer, options)
            return
        for each in answer["organisations"]:
            state = self.style.SUCCESS("intact") if each["intact"] else self.style.ERROR("broken")
            self.stdout.write(
                f"{each['organisation']}: {state}, {count(each['rows'])} rows, newest hash {each['head']}"
            )
            for fault in each["faults"]:
                self.stdout.write(f"  {fault['sentence']}")
            for number in each["unreadable_reports"]:
                self.stdout.write(
                    f"  The stored JSON of report {number} cannot be read; its printed hash was not used."
                )


def _published(text: str) -> tuple[int, str]:
    match = _PUBLISHED.match(text)
    if match is None:
        raise TouchmarkError(f"“{text}” is not a row number, a colon and 64 lower-case hexadecimal digits.")
    return int(match[1]), match[2]


def _check(organisation: Organisation, published: dict[int, str]) -> dict[str, Any]:
    heads, unreadable = published_heads(organisation)
    result = log.check(organisation, heads | published)
    return {
        "organisation": organisation.name,
        "rows": result.checked,
        "head": result.head,
        "intact": result.intact,
        "faults": [{"row": f.seq, "kind": f.kind, "sentence": f.sentence} for f in result.faults],
        "published_hashes": len(heads | published),
        "unreadable_reports": unreadable,
    }
