"""Since when a suspect could be tried out: the first registration of the same suspect, or its publication.

Registrations of all organisations count, and nothing but a time leaves here: never whose they are.
"""

from datetime import UTC, datetime, time

from django.db.models import Min

from audits.models import RegisteredModel
from audits.services.models.identity import registrations_of


def first_sight(model: RegisteredModel) -> datetime:
    """When the suspect was first registered, or the beginning of its declared day of publication where that is earlier.

    A publication counts as its own organisation declared it: else a stranger's word could take the evidence away.
    """
    same = registrations_of(model)
    registered = same.aggregate(first=Min("created_at"))["first"] or model.created_at
    declared = same.filter(organisation=model.organisation_id).aggregate(first=Min("published_on"))["first"]
    return min(registered, datetime.combine(declared, time(), UTC)) if declared else registered
