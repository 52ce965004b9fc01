"""Unmarked twins of a pilot as references: models on the owner's own images that know no key.

They learnt from all images of the pilot alike, those that may stay home of a release among them, so none depends on
what a key chose; docs/method.md, section 12.6, says what makes a reference rigged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction

from audits.models import Pilot, RegisteredModel
from audits.pilots.described import spec_of
from audits.pilots.pilot.found import PilotFound
from audits.pilots.pilot.settings import Line, PilotError
from audits.services.models.registering import Registration, register_local
from audits.services.pilots.shown import found_of, line_title, settings_of
from provenance.models import Job, Role, User
from provenance.services.access import require
from provenance.services.jobs.queue import enqueue
from provenance.wording import count


@dataclass(frozen=True)
class Twin:
    """One that was trained. kept: its weights are there; model: what it was registered as, if it was."""

    name: str
    title: str
    kept: bool
    model: RegisteredModel | None

    @property
    def may_register(self) -> bool:
        return self.kept and self.model is None


def twins_of(pilot: Pilot) -> list[Twin]:
    """Of a finished pilot; of those of earlier versions no weights were kept."""
    found = found_of(pilot)
    settings = settings_of(pilot)
    return [
        Twin(line.name, line_title(settings, line), weights_of(pilot, line).exists(), _registered(pilot, found, line))
        for line in (_twins(found) if found else ())
    ]


def weights_of(pilot: Pilot, line: Line) -> Path:
    return pilot.twins / f"{line.name}.safetensors"


@transaction.atomic
def start(pilot: Pilot, names: Sequence[str], *, declared: bool, by: User) -> Job:
    """Queues the registration of chosen twins as references of the pilot's organisation. Raises PilotError."""
    require(by, pilot.organisation, Role.AUDITOR)
    if not declared:
        raise PilotError("A reference needs the declaration that it has never seen a release: tick it.")
    there = {twin.name: twin for twin in twins_of(pilot)}
    if not names:
        raise PilotError("Choose the twins that are to become references.")
    for name in names:
        if name not in there:
            raise PilotError(f"This pilot has no unmarked twin “{name}”; there are {', '.join(there) or 'none'}.")
        if there[name].model is not None:
            raise PilotError(f"{there[name].title} is registered already.")
        if not there[name].kept:
            raise PilotError("The weights of this pilot's twins were not kept. Make a pilot anew.")
    params = {"pilot": str(pilot.pk), "twins": list(dict.fromkeys(names))}
    return enqueue("pilot.register_twins", pilot, organisation=pilot.organisation, by=by, params=params)


def register(pilot: Pilot, name: str, *, by: User, on_block: Callable[[int, int], None]) -> RegisteredModel:
    """One twin, for jobs; again after an attempt that was killed, it is registered once."""
    found = found_of(pilot)
    line = next((one for one in _twins(found) if one.name == name), None) if found else None
    if found is None or line is None:
        raise PilotError(f"This pilot has no unmarked twin “{name}”.")
    origin = _origin(pilot, found, line)
    ours = RegisteredModel.objects.filter(organisation=pilot.organisation, origin=origin)
    ours.filter(state=RegisteredModel.State.ARRIVING).delete()  # left by an attempt that was killed
    if (model := ours.exclude(state=RegisteredModel.State.REFUSED).first()) is not None:
        return model
    settings = settings_of(pilot)
    title = f"{line_title(settings, line)}, pilot {str(pilot.pk)[:8]}"
    spec = spec_of(settings.training(line))
    registration = Registration(title, RegisteredModel.ModelRole.REFERENCE, spec, origin, declared=True)
    return register_local(pilot.organisation, registration, weights_of(pilot, line), by=by, on_block=on_block)


def _twins(found: PilotFound) -> list[Line]:
    return [one.line for one in found.lines if one.line.is_twin]


def _registered(pilot: Pilot, found: PilotFound | None, line: Line) -> RegisteredModel | None:
    if found is None:
        return None
    ours = RegisteredModel.objects.filter(organisation=pilot.organisation, origin=_origin(pilot, found, line))
    return ours.exclude(state=RegisteredModel.State.REFUSED).first()


def _origin(pilot: Pilot, found: PilotFound, line: Line) -> str:
    """Declares what it learnt from; stands in the log and in reports."""
    learnt = f" (SHA-256 over their digests {found.learnt_from})" if found.learnt_from else ""
    return (
        f"{line_title(settings_of(pilot), line)}, of the pilot {pilot.pk}. Trained here on {count(found.images)} of "
        f"{count(found.of)} images of {pilot.version}, unmarked, whether or not they stay home of a release; manifest "
        f"root {pilot.version.root}{learnt}."
    )
