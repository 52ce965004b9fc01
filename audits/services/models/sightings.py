"""Since when a suspect could be tried out: the first registration of the same suspect, or its publication.

Registrations of all organisations count, and nothing but a time leaves here: never whose they are.
"""

from datetime import UTC, datetime, time

from django.db.models import Min

from audits.models import RegisteredModel
from audits.services.models.identity import registrations_of
from provenance.models import Organisation


def first_sight(model: RegisteredModel, owner: Organisation) -> datetime:
    """When the suspect was first registered, or the beginning of its declared day of publication where that is earlier.

    owner: of the audited data. A publication counts as the model's own organisation or the owner declared it, for a
    stranger's word could take the evidence away, and an owner could have the model registered elsewhere without one.
    """
    same = registrations_of(model)
    registered = same.aggregate(first=Min("created_at"))["first"] or model.created_at
    heard = same.filter(organisation__in=(model.organisation_id, owner.pk))
    declared = heard.aggregate(first=Min("published_on"))["first"]
    return min(registered, datetime.combine(declared, time(), UTC)) if declared else registered
