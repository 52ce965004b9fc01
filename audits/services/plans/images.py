"""The images that a plan is about, as a lock freezes them, and what could not be compared with what.

Which versions hold the same images: `provenance.services.overlaps`; which models are one suspect:
`audits.services.models.identity`. Of other organisations nothing but a number leaves here.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from audits.services.models.identity import not_compared as models_not_compared
from audits.services.plans.values import PlanValues
from provenance.intake.contents import can_be_read
from provenance.models import Version
from provenance.services import overlaps


@dataclass(frozen=True)
class SameImages:
    """Versions that hold the same images as a plan's, itself among them; elsewhere: those of other organisations.

    digest: SHA-256 over their sorted manifest roots, a line each.
    """

    versions: int
    elsewhere: int
    digest: str


@dataclass(frozen=True)
class NotCompared:
    """Models without an identity, and versions that were not compared, of all organisations.

    waiting: versions among them whose manifest is there, which the next save or lock of a plan compares. given_up: how
    many of the parties there are beside them whose manifest was given up; they count as holding the same images.
    """

    models: int = 0
    versions: int = 0
    waiting: int = 0
    given_up: int = 0

    def __bool__(self) -> bool:
        return bool(self.models or self.versions)

    @property
    def lost(self) -> int:
        """Versions without a manifest."""
        return self.versions - self.waiting

    def to_json(self) -> dict[str, Any]:
        """As a lock freezes it; what there rarely is stands there only where it is."""
        rarely = {"waiting": self.waiting, "given_up": self.given_up}
        found = {name: number for name, number in rarely.items() if number}
        return {"models": self.models, "versions": self.versions, **found}


def same_images_as(values: PlanValues) -> SameImages:
    """As they stand now."""
    version = values.version
    same = Version.objects.filter(overlaps.same_images(version, values.suspect.organisation_id))
    roots = sorted(same.values_list("root", flat=True))
    return SameImages(
        versions=len(roots),
        elsewhere=same.exclude(dataset__organisation=version.dataset.organisation_id).count(),
        digest=hashlib.sha256("".join(f"{root}\n" for root in roots).encode()).hexdigest(),
    )


def not_compared(values: PlanValues) -> NotCompared:
    """What nobody could compare with the suspect, and with the images."""
    given_up = Version.objects.given_up().filter(dataset__organisation__in=_parties(values))
    found = overlaps.not_compared().exclude(pk__in=given_up.values("pk"))
    waiting = sum(can_be_read(version.manifest_folder) for version in found.only("pk"))
    return NotCompared(models_not_compared(values.suspect).count(), found.count(), waiting, given_up.count())


def missing_refusal(values: PlanValues) -> str:
    """Why a plan may not be locked while a version of its parties could not be compared; "" where it may.

    Versions of organisations that have no part in it only stand in `NotCompared`: they could hinder everybody.
    """
    unknown = overlaps.not_compared().filter(given_up_at=None, dataset__organisation__in=_parties(values))
    found = unknown.select_related("dataset")
    if values.exploratory or not found:
        return ""
    ordered = found.order_by("dataset__name", "number")
    if lost := [version for version in ordered if not can_be_read(version.manifest_folder)]:
        return (
            f"Nobody can say which images {_named(lost, values)} shares with others, for its manifest is missing on "
            "the server. Put it back from the backup; then lock the plan, which compares it. If it is lost for good, a "
            "rights-holder of its organisation can give it up on the version's page (or by give_up_manifest): it then "
            "counts as sharing images with every version of that organisation. “Exploratory” (on the command line, "
            "--exploratory) does without."
        )
    return (
        f"Nobody can say yet which images {_named(list(ordered), values)} shares with others, for it was not compared "
        "yet. To save or lock the plan compares it."
    )


def _parties(values: PlanValues) -> tuple[UUID, UUID]:
    return values.version.dataset.organisation_id, values.suspect.organisation_id


def _named(versions: Sequence[Version], values: PlanValues) -> str:
    """Those of the suspect's organisation and of the audited dataset; an auditor may not know the owner's others."""
    home, dataset = values.suspect.organisation_id, values.version.dataset_id
    named = [str(one) for one in versions if home == one.dataset.organisation_id or dataset == one.dataset_id]
    if others := len(versions) - len(named):
        named.append(f"{others} version{'s' if others > 1 else ''} of other datasets of the owner")
    return ", ".join(named)
