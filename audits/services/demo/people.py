"""The demo's organisation and its people, one for each role, and the file of passwords that only its owner reads."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction

from provenance.errors import TouchmarkError
from provenance.models import Organisation, Role, User
from provenance.services import people

ORGANISATION = "Pewter Lane Picture Library"
CONTACT = "library@pewterlane.example"
FIRST_NAMES = ("Ada", "Bram", "Clio", "Dario", "Edda", "Finn", "Greta", "Hugo", "Ines", "Joris", "Karin", "Levi")
LAST_NAMES = ("Ashdown", "Birk", "Corven", "Dahl", "Ekman", "Farrow", "Grieve", "Holm", "Ilves", "Janssen", "Keel")


class DemoError(TouchmarkError):
    """The demo cannot be set up here; the sentence says what to do."""


@dataclass(frozen=True)
class DemoPerson:
    """Somebody to sign in as."""

    role: str
    name: str
    username: str
    password: str

    @property
    def user(self) -> User:
        return User.objects.get(username=self.username)


def ensure_people() -> dict[str, DemoPerson]:
    """The demo's people by role: those of an earlier start, or new ones with names and passwords drawn at random.

    Raises DemoError on an instance that holds other organisations: a demo must not mix with real data.
    """
    kept = _read(settings.DEMO_FILE)
    if kept and all(User.objects.filter(username=person.username).exists() for person in kept.values()):
        return kept
    if Organisation.objects.exclude(name=ORGANISATION).exists():
        raise DemoError(
            "This instance holds organisations of its own, so it cannot become a demo. "
            "Set TOUCHMARK_DATA (and DATABASE_URL) to other places and start the demo there."
        )
    with transaction.atomic():
        drawn = _draw()
        _write(settings.DEMO_FILE, drawn)  # last, so that nobody exists whose password was lost
    return drawn


def demo_organisation() -> Organisation:
    return Organisation.objects.get(name=ORGANISATION)


def _draw() -> dict[str, DemoPerson]:
    """New people; where an earlier demo lost its file, its people stay and get new passwords."""
    organisation = Organisation.objects.filter(name=ORGANISATION).first()
    if organisation is None:
        organisation = people.create_organisation(ORGANISATION, contact=CONTACT, by=None)
    random = secrets.SystemRandom()
    firsts, lasts = random.sample(FIRST_NAMES, 4), random.sample(LAST_NAMES, 4)
    drawn: dict[str, DemoPerson] = {}
    administrator: User | None = None
    for role, first, last in zip([Role.ADMINISTRATOR, *_others()], firsts, lasts, strict=True):
        user = User.objects.filter(memberships__organisation=organisation, memberships__role=role).first()
        if user is None:
            username = f"{first.lower()}-{secrets.token_hex(2)}"
            added = people.add_member(organisation, username, [role], by=administrator, full_name=f"{first} {last}")
            user, password = added.user, added.password
        else:
            password = people.reset_password(organisation, user, by=administrator or user)
        administrator = administrator or user
        drawn[role.value] = DemoPerson(role.value, user.display_name, user.username, password)
    return drawn


def _others() -> list[Role]:
    return [role for role in Role if role != Role.ADMINISTRATOR]


def _read(path: Path) -> dict[str, DemoPerson]:
    try:
        people_kept = json.loads(path.read_text(encoding="utf-8"))["people"]
        return {person["role"]: DemoPerson(**person) for person in people_kept}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise DemoError(f"The file {path.name} of the demo is damaged. Remove it, and start the demo again.") from error


def _write(path: Path, drawn: dict[str, DemoPerson]) -> None:
    """Readable by its owner alone from the first byte on, and there as a whole or not at all."""
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"people": [asdict(person) for person in drawn.values()]}, file, indent=2, ensure_ascii=False)
        file.write("\n")
    draft.replace(path)
