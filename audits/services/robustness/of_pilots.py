"""What stands beside a pilot: tables of robustness on the same images, and where one with its settings is begun."""

from typing import Any

from django.db import models
from django.urls import reverse
from django.utils.http import urlencode

from audits.models import Pilot, Robustness
from audits.pilots.pilot.settings import PilotSettings, Proposal
from audits.robustness.settings import PARTS
from audits.services.pilots.shown import settings_of
from audits.services.robustness.starting import ROLES, visible
from provenance.marks import PRESETS, MarkSettings
from provenance.marks.withheld import WITHHELD
from provenance.models import User

MOST_TABLES = 5


def tables_of(pilot: Pilot, user: User) -> "models.QuerySet[Robustness]":
    """The newest ones that are done."""
    return visible(user).filter(version=pilot.version, state=Robustness.State.DONE)[:MOST_TABLES]


def beginnings(pilot: Pilot, user: User) -> list[tuple[str, str]]:
    """Titles of what the pilot tried, and where a table of each is begun, its form filled; marks that are no preset of
    classes or plain have none, and neither has who may start none."""
    if not user.has_role(pilot.organisation, *ROLES):
        return []
    settings = settings_of(pilot)
    filled = ((one.title, _filled(pilot, settings, one)) for one in settings.proposals)
    return [(title, f"{reverse('robustness_new')}?{urlencode(values)}") for title, values in filled if values]


def _filled(pilot: Pilot, settings: PilotSettings, proposal: Proposal) -> dict[str, Any]:
    if withheld := proposal.withheld:
        marks: dict[str, Any] = {"mark": WITHHELD, "block_size": withheld.block_size, "share": withheld.share}
    elif (struck := proposal.struck) and (preset := _preset(struck)):
        marks = {"mark": preset, "family": struck.family, "association": struck.association}
    else:
        return {}
    return marks | {
        "organisation": pilot.organisation_id,
        "version": pilot.version_id,
        "images": min(pilot.version.file_count, settings.images * sum(PARTS) // PARTS[0]),
        "decoys": settings.decoys,
        "method": settings.methods[0],
        "encoder": settings.encoder,
        "side": settings.side,
        "epochs": settings.epochs,
        "trials": settings.runs,
        "references": settings.references,
    }


def _preset(struck: MarkSettings) -> str:
    """Of which these are the settings, in classes or plain; "" for others."""
    if struck.group_by != "class":
        return ""
    changes = {"family": struck.family, "association": struck.association}
    return next((name for name, one in PRESETS.items() if one.settings(struck.groups, **changes) == struck), "")
