"""The keys that were drawn for the same images as an audit's: what became of each, and whether this suspect was asked.

Keys of the data's owner, whoever looks: recipients of copies of the audited dataset are named, for whoever sees the
audit sees its releases; of other datasets they are not. Keys of other organisations are a number.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from audits.models import Audit
from audits.planning.claims import is_late
from audits.services.models.sightings import first_sight
from audits.services.plans.copies import committed_keys
from audits.services.plans.series import runs_of
from provenance.models import Organisation, Release, Version, WatermarkKey
from provenance.services.overlaps import same_images

ANOTHER_DATASET = "a copy of another dataset"


@dataclass(frozen=True)
class KeyRow:
    """One key. released_to: "" where no copy bears it; tested_at: when this suspect was first asked about it."""

    state: str
    drawn_at: datetime
    committed_at: datetime | None
    released_to: str
    released_at: datetime | None
    tested_at: datetime | None
    is_late: bool  # committed to after the suspect was first seen
    is_tested_here: bool

    def to_json(self) -> dict[str, Any]:
        times = ("drawn_at", "committed_at", "released_at", "tested_at")
        found: dict[str, Any] = {name: _iso(getattr(self, name)) for name in times}
        return {"state": self.state, "released_to": self.released_to, **found, "late": self.is_late}


@dataclass(frozen=True)
class Keys:
    """rows: of the data's owner, oldest first. elsewhere: committed ones of other organisations."""

    rows: tuple[KeyRow, ...]
    elsewhere: int

    @property
    def never_tested(self) -> int:
        """Copies that are with somebody, and about which this suspect was never asked."""
        return sum(1 for row in self.rows if row.released_at and not row.tested_at)


def keys_of(audit: Audit) -> Keys:
    """As they stand now."""
    plan = audit.plan
    owner = plan.version.dataset.organisation
    committed = committed_keys(plan.version, plan.organisation_id, seen_at(audit))
    return Keys(tuple(_rows(audit, owner)), committed.exclude(version__dataset__organisation=owner).count())


def _rows(audit: Audit, owner: Organisation) -> Iterator[KeyRow]:
    plan, seen = audit.plan, seen_at(audit)
    versions = Version.objects.filter(same_images(plan.version, plan.organisation_id), dataset__organisation=owner)
    keys = WatermarkKey.objects.filter(version__in=versions).select_related("version", "release")
    tested, here = _tested(audit), set(plan.releases.values_list("key", flat=True))
    for key in keys.order_by("drawn_at", "pk"):
        release: Release | None = getattr(key, "release", None)
        own = key.version.dataset_id == plan.version.dataset_id
        yield KeyRow(
            state=key.get_state_display(),
            drawn_at=key.drawn_at,
            committed_at=key.committed_at,
            released_to="" if release is None else release.recipient if own else ANOTHER_DATASET,
            released_at=release.ready_at if release else None,
            tested_at=tested.get(key.pk),
            is_late=key.committed_at is not None and is_late(key.committed_at, seen),
            is_tested_here=key.pk in here,
        )


def _tested(audit: Audit) -> dict[Any, datetime]:
    """By key, when this suspect was first asked about it."""
    runs = runs_of(audit.plan.suspect, audit.plan.version)
    asked = runs.filter(Q(asked_at__isnull=False) | Q(state=Audit.State.DONE))
    found: dict[Any, datetime] = {}
    for key, at, queued in asked.values_list("plan__releases__key", "asked_at", "created_at"):
        found[key] = min(found.get(key, at or queued), at or queued)
    return found


def seen_at(audit: Audit) -> datetime:
    """When the suspect was first seen, as the lock found it; of plans of earlier versions as it stands now."""
    frozen = audit.plan.frozen.get("first_sight")
    return (
        datetime.fromisoformat(frozen)
        if frozen
        else first_sight(audit.plan.suspect, audit.plan.version.dataset.organisation)
    )


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
