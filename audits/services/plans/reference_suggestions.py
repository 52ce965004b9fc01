"""Which registered references may serve in a plan, and why: what the log, the descriptions and earlier audits say.

Only models that somebody declared as references are looked at. A suspect that came out clean is none: "no evidence" is
no acquittal, and to pick models by what they answered would let a result choose its own controls.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from audits.models import AuditRow, Plan, RegisteredModel
from audits.services.models.identity import names_of
from audits.services.plans.captions import CAPTION, reads_captions, why_not
from audits.services.plans.values import choice_of, levels_of
from provenance.models import LogEntry, Release, Role, User


class Verdict(IntEnum):
    """In the order in which suggestions are listed."""

    MAY_SERVE = 0
    BETTER_NOT = 1
    CANNOT = 2

    @property
    def words(self) -> str:
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True)
class Suggestion:
    """One model, what may be said of it as a reference, and the sentences that say why; `rank` orders equals."""

    model: RegisteredModel
    verdict: Verdict
    reasons: tuple[str, ...]
    rank: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": str(self.model.pk),
            "name": self.model.name,
            "verdict": self.verdict.words,
            "reasons": list(self.reasons),
        }


def suggest_references(
    suspect: RegisteredModel, releases: Sequence[Release], levels: Iterable[str], user: User, score: str = ""
) -> list[Suggestion]:
    """Every reference that this person may use, the best first. levels: those that will decide; score: what tells
    that a model knows an image, of keyed choices."""
    mine = RegisteredModel.objects.filter(organisation__in=user.organisations(Role.AUDITOR))
    models = list(mine.references().select_related("organisation").order_by("name"))
    logged, reacted, wanted = _logged(models), _reacted(models, releases), tuple(levels)
    by_captions = score == CAPTION and any(choice_of(release) for release in releases)
    known = names_of((suspect, *models))
    found, seen = list[Suggestion](), {known[suspect.pk]: suspect.name}
    for model in models:
        why = _cannot(model, suspect, wanted, seen.get(known[model.pk]))
        seen.setdefault(known[model.pk], model.name)
        if why is None and by_captions and not reads_captions(model):
            why = why_not(model)
        if why:
            found.append(Suggestion(model, Verdict.CANNOT, (why,)))
        elif model.pk in reacted:
            named = ", ".join(sorted(reacted[model.pk]))
            why = f"In an earlier audit it reacted itself to the key of {named}, so it can neither clear nor convict."
            found.append(Suggestion(model, Verdict.BETTER_NOT, (why,)))
        else:
            found.append(_may_serve(model, suspect, releases, logged.get(model.pk)))
    return sorted(found, key=lambda one: (one.verdict, -one.rank, one.model.name))


def _cannot(
    model: RegisteredModel, suspect: RegisteredModel, levels: tuple[str, ...], same_as: str | None
) -> str | None:
    if model.organisation_id != suspect.organisation_id:
        return f"It belongs to {model.organisation}, the suspect to {suspect.organisation}."
    if same_as:
        return f"It has the same weights as {same_as}, or gives the same answers."
    lacking = [Plan.Level(level).label for level in levels if level not in levels_of(model)]
    if lacking:
        return f"It does not return {' and '.join(lacking)}."
    if not model.connection:
        return "It has not passed a connection test; run one on its page first."
    return None


def _may_serve(
    model: RegisteredModel, suspect: RegisteredModel, releases: Sequence[Release], logged: datetime | None
) -> Suggestion:
    reasons, rank = [], 0
    beacons = [release.key.beacon_at for release in releases if release.key.beacon_at]
    if logged and beacons and len(beacons) == len(releases) and logged < min(beacons):
        rank += 4
        reasons.append("Its weights were logged before the key could be known, so they cannot have seen it.")
    elif releases:
        reasons.append("Its weights were logged after the release, so only its declaration says that it never saw it.")
    same, size = model.spec.get("architecture") == suspect.spec.get("architecture"), input_side(model)
    if size and size == input_side(suspect):
        rank += 2 + same
        reasons.append(
            f"It is built like the suspect and sees images of {size} px as well."
            if same
            else f"It sees images of {size} px, as the suspect does."
        )
    elif size and input_side(suspect):
        reasons.append(
            f"It sees images of {size} px, the suspect of {input_side(suspect)} px: marks look different to it, so it "
            "explains less of what is common to all models."
        )
    return Suggestion(model, Verdict.MAY_SERVE, tuple(reasons), rank)


def input_side(model: RegisteredModel) -> int | None:
    """Pixels that the model takes in: what the connection test saw, else what the description says."""
    shape = model.connection.get("input_shape")
    size = shape[1] if isinstance(shape, list) and len(shape) == 3 else model.spec.get("input_size")
    return int(size) if size else None


def _logged(models: Sequence[RegisteredModel]) -> dict[Any, datetime]:
    """When the digest of each model's weights entered the evidence log; models whose entry is missing are left out."""
    by_id = {str(model.pk): model for model in models}
    entries = LogEntry.objects.filter(
        subject_type=str(RegisteredModel._meta.verbose_name),
        subject_id__in=by_id,
        verb__in=("model.registered", "reference.declared"),
    )
    found: dict[Any, datetime] = {}
    for entry in entries.order_by("seq"):
        model = by_id[entry.subject_id]
        if entry.digests.get("weights") == model.sha256:
            found.setdefault(model.pk, entry.at)
    return found


def _reacted(models: Sequence[RegisteredModel], releases: Sequence[Release]) -> dict[Any, set[str]]:
    """References that an earlier audit found to react to the key of one of these releases, at either tail."""
    rows = AuditRow.objects.filter(release__in=list(releases), audit__plan__references__in=models).distinct()
    reacted: dict[str, set[str]] = {}
    for plan, recipient, named in rows.tainted():
        reacting = names_of(RegisteredModel.objects.filter(plans_as_reference=plan, name__in=named))
        for known in reacting.values():
            reacted.setdefault(known, set()).add(recipient)
    return {pk: reacted[known] for pk, known in names_of(models).items() if known in reacted}
