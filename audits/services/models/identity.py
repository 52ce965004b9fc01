"""What counts as the same suspect: the one place that says so (docs/method.md, section 6.9).

Registrations are one suspect where the file, the values of the tensors or the answers to the noise images agree, of
whatever organisation they are; once found to be one they stay so. Of a model that was registered before identities
were taken only the file is known, until its next connection test.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import models

from audits.models import RegisteredModel
from audits.suspects.identity import Identity, likeness
from provenance.models import User

Models = models.QuerySet[RegisteredModel]
WORDS = {
    "file": "the same file",
    "tensors": "the same numbers in its tensors",
    "answers": "the same answers to noise images",
    "parts": "more than half of its tensors",
    "others": "known through a further registration",
}


def registrations_of(model: RegisteredModel) -> Models:
    """Every registration of what counts as the same suspect, of all organisations, this one among them."""
    if not model.sha256:  # its weights are still arriving
        return RegisteredModel.objects.filter(pk=model.pk)
    return registrations_of_file(model.sha256)


def registrations_of_file(sha256: str) -> Models:
    """Every registration of this file of weights, and of all that count as the same suspect."""
    arrived = RegisteredModel.objects.exclude(sha256="")
    named = arrived.filter(sha256=sha256, known_as__isnull=False).values("known_as")
    files = arrived.filter(known_as__in=named).values("sha256")
    return arrived.filter(models.Q(sha256=sha256) | models.Q(sha256__in=files))


def not_compared(model: RegisteredModel) -> Models:
    """Models of all organisations that were never compared with this one: neither tested since identities are taken,
    nor known by their file."""
    known = RegisteredModel.objects.filter(known_as__isnull=False).values("sha256")
    return RegisteredModel.objects.unidentified().exclude(sha256__in=known).exclude(sha256=model.sha256)


def names_of(registered: Iterable[RegisteredModel]) -> dict[Any, str]:
    """By model, what is equal for those that count as the same suspect and for no others."""
    every = list(registered)
    known = RegisteredModel.objects.filter(sha256__in={model.sha256 for model in every}, known_as__isnull=False)
    by_file = dict(known.values_list("sha256", "known_as"))
    return {model.pk: str(by_file.get(model.sha256, model.sha256 or model.pk)) for model in every}


def recognise(model: RegisteredModel) -> None:
    """Finds, after a connection test, with which other registrations a model is one; for use in a transaction."""
    tested = RegisteredModel.objects.select_for_update().exclude(identity={}).order_by("pk")
    own = Identity.from_json(model.identity)
    known = {model.known_as} if model.known_as else set[uuid.UUID]()
    for other in tested.only("pk", "sha256", "identity", "known_as"):
        if other.pk != model.pk and other.known_as and _how(model, own, other) not in (None, "labels"):
            known.add(other.known_as)
    model.known_as = min(known, default=uuid.uuid4())
    RegisteredModel.objects.filter(models.Q(pk=model.pk) | models.Q(known_as__in=known)).update(known_as=model.known_as)


def _how(model: RegisteredModel, own: Identity, other: RegisteredModel) -> str | None:
    if other.sha256 == model.sha256:
        return "file"
    return likeness(own, Identity.from_json(other.identity)) if other.identity else None


@dataclass(frozen=True)
class OtherNames:
    """Further registrations of one suspect. seen: those a person may see, each with what they have in common, in words.

    alike: models that agree in labels alone, so that nothing is decided; elsewhere: how many are not shown.
    """

    seen: tuple[tuple[RegisteredModel, str], ...] = ()
    alike: tuple[RegisteredModel, ...] = ()
    elsewhere: int = 0

    def __bool__(self) -> bool:
        return bool(self.seen or self.alike or self.elsewhere)

    def to_json(self) -> dict[str, Any]:
        return {
            "also_registered": [{"id": str(one.pk), "name": one.name, "alike_in": how} for one, how in self.seen],
            "registered_elsewhere": self.elsewhere,
            "perhaps_the_same": [{"id": str(one.pk), "name": one.name} for one in self.alike],
        }


def other_names(model: RegisteredModel, visible: Models) -> OtherNames:
    """Under which other names a suspect is registered. visible: what of all models may be named."""
    same = list(registrations_of(model).exclude(pk=model.pk).order_by("name", "pk"))
    shown = set(visible.filter(pk__in=[other.pk for other in same]).values_list("pk", flat=True))
    own = Identity.from_json(model.identity) if model.identity else None
    seen = [(other, WORDS[_in_common(model, own, other)]) for other in same if other.pk in shown]
    return OtherNames(tuple(seen), tuple(_of_like_labels(model, own, visible)), len(same) - len(seen))


def names_seen_by(model: RegisteredModel, user: User) -> OtherNames:
    return other_names(model, RegisteredModel.objects.for_user(user))


def _in_common(model: RegisteredModel, own: Identity | None, other: RegisteredModel) -> str:
    how = _how(model, own, other) if own else "file" if other.sha256 == model.sha256 else None
    return how if how and how != "labels" else "others"


def _of_like_labels(model: RegisteredModel, own: Identity | None, visible: Models) -> Iterable[RegisteredModel]:
    if own is None or own.geometries or not own.labels:
        return
    for other in visible.exclude(pk__in=registrations_of(model).values("pk")).filter(identity__labels=list(own.labels)):
        if likeness(own, Identity.from_json(other.identity)) == "labels":
            yield other
