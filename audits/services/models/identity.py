"""What counts as the same suspect: the one place that says so (docs/method.md, section 6.9).

Registrations are one suspect where the file, the values of the tensors or the answers to the noise images agree, of
whatever organisation they are; once found to be one they stay so. Of a model that was registered before identities
were taken only the file is known, until its next connection test.
"""

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import models

from audits.models import RegisteredModel
from audits.suspects.identity import Identity, likeness
from provenance.canonical import canonical_json
from provenance.models import User

AT_ONCE = 100  # identities in memory; each takes up to a few hundred kilobytes
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
    """Models of all organisations that were never compared with this one: neither tested since today's identities are
    taken, nor known by their file."""
    known = RegisteredModel.objects.identified().filter(known_as__isnull=False).values("sha256")
    return RegisteredModel.objects.unidentified().exclude(sha256__in=known).exclude(sha256=model.sha256)


def names_of(registered: Iterable[RegisteredModel]) -> dict[Any, str]:
    """By model, what is equal for those that count as the same suspect and for no others."""
    every = list(registered)
    known = RegisteredModel.objects.filter(sha256__in={model.sha256 for model in every}, known_as__isnull=False)
    by_file = dict(known.values_list("sha256", "known_as"))
    return {model.pk: str(by_file.get(model.sha256, model.sha256 or model.pk)) for model in every}


def keep_identity(model: RegisteredModel, identity: Identity) -> None:
    """Stores what a connection test found. To be committed before models are compared: so of two that are tested at the
    same time, the one that is recognised later meets the other."""
    told = identity.to_json()
    digest = hashlib.sha256(canonical_json(told)).hexdigest()
    RegisteredModel.objects.filter(pk=model.pk).update(identity=told, identity_digest=digest)


@dataclass(frozen=True)
class Compared:
    """With which models one was compared. own: digest of its identity; digests: of theirs, by model; alike: those of
    them that are the same suspect."""

    own: str = ""
    digests: Mapping[uuid.UUID, str] = field(default_factory=dict)
    alike: frozenset[uuid.UUID] = frozenset()

    def covers(self, other: "_Tested") -> bool:
        return self.digests.get(other.pk) == other.identity_digest


class _Tested(NamedTuple):
    pk: uuid.UUID
    sha256: str
    known_as: uuid.UUID | None
    identity_digest: str


def compare(model: RegisteredModel) -> Compared:
    """Compares a model with every other that was tested. Takes its time, so it runs before the transaction in which the
    model is recognised, where only what was tested meanwhile is left to compare."""
    mine = RegisteredModel.objects.only("sha256", "identity", "identity_digest").get(pk=model.pk)
    digests, alike = dict[uuid.UUID, str](), set[uuid.UUID]()
    others = _tested().exclude(pk=mine.pk).only("sha256", "identity", "identity_digest")
    own = Identity.from_json(mine.identity)
    for other in others.iterator(chunk_size=AT_ONCE):
        digests[other.pk] = other.identity_digest
        if _is_one(_how(mine, own, other)):
            alike.add(other.pk)
    return Compared(mine.identity_digest, digests, frozenset(alike))


def recognise(model: RegisteredModel, compared: Compared | None = None) -> None:
    """Finds, after a connection test, with which other registrations a model is one; first in a transaction.

    compared: by `compare`; what that does not cover is compared here, while others wait.
    """
    rows = _hold_tested(model)
    mine = rows.pop(model.pk)
    if compared is None or compared.own != mine.identity_digest:
        compared = Compared()
    ahead = [row.pk for row in rows.values() if not compared.covers(row)]
    alike = {*(pk for pk in compared.alike if pk not in ahead), *_alike_among(model, ahead)}
    known = {row.known_as for row in (mine, *rows.values()) if row.known_as and row.pk in (mine.pk, *alike)}
    model.known_as = min(known, default=uuid.uuid4())
    RegisteredModel.objects.filter(models.Q(pk=model.pk) | models.Q(known_as__in=known)).update(known_as=model.known_as)


def _tested() -> Models:
    """Models that may be one with others; whose identities are not read for it."""
    return RegisteredModel.objects.filter(~models.Q(identity_digest="") | models.Q(known_as__isnull=False))


def _hold_tested(model: RegisteredModel) -> dict[uuid.UUID, _Tested]:
    """This one and all that were tested, by id. Others who recognise a model wait until the transaction ends.

    All are locked in one order, or two that are recognised at the same time would wait for each other; and they are
    read again once they are locked, for whatever was committed meanwhile.
    """
    wanted = _tested() | RegisteredModel.objects.filter(pk=model.pk)
    list(wanted.select_for_update(no_key=True).order_by("pk").values_list("pk"))
    return {row.pk: row for row in map(_Tested._make, wanted.values_list(*_Tested._fields))}


def _alike_among(model: RegisteredModel, others: Sequence[uuid.UUID]) -> Iterator[uuid.UUID]:
    for start in range(0, len(others), AT_ONCE):
        mine = RegisteredModel.objects.only("sha256", "identity").get(pk=model.pk)
        own = Identity.from_json(mine.identity)
        among = RegisteredModel.objects.filter(pk__in=others[start : start + AT_ONCE])
        yield from (other.pk for other in among.only("sha256", "identity") if _is_one(_how(mine, own, other)))


def _is_one(how: str | None) -> bool:
    return how not in (None, "labels")


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
