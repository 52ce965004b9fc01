"""Runs of the same suspect against other images of the same owner, each of which is corrected by itself.

Whoever tests a suspect against ten sets of images, each alone, finds a small p ten times as often; no rule about files
in common can tell that from ten questions. So they are listed, with their number: docs/method.md, section 6.8.
"""

from dataclasses import dataclass

from audits.models import Audit
from audits.services.models.identity import registrations_of
from audits.services.plans.series import ASKED, ASKS
from provenance.models import User
from provenance.services.overlaps import count_families, family


@dataclass(frozen=True)
class OtherImages:
    """seen: the runs that a person may see, in the order in which they were queued; unseen: how many there are beside.

    sets: against how many sets of images all of them were; copies of the same images are one.
    """

    seen: tuple[Audit, ...]
    unseen: int
    sets: int

    @property
    def runs(self) -> int:
        return len(self.seen) + self.unseen

    def __bool__(self) -> bool:
        return self.runs > 0


def other_images(audit: Audit, user: User | None = None) -> OtherImages:
    """Whatever their end, as they stand now. user: whoever looks; None sees all."""
    version = audit.plan.version
    found = Audit.objects.filter(
        ASKS | ASKED,
        plan__suspect__in=registrations_of(audit.plan.suspect),
        plan__version__dataset__organisation=version.dataset.organisation_id,
    )
    every = found.exclude(plan__version__in=family(version, audit.plan.organisation_id))
    mine = Audit.objects.for_user(user) if user else Audit.objects.all()
    seen = every.filter(pk__in=mine.values("pk")).select_related("plan").order_by("created_at", "pk")
    versions = set(every.values_list("plan__version", flat=True))
    return OtherImages(tuple(seen), every.count() - len(seen), count_families(versions, version.dataset.organisation))
