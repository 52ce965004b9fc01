"""What the evidence log says about one plan and its runs, as the timeline component shows it."""

from collections.abc import Iterable

from django.db import models

from audits.models import Audit
from provenance import wording
from provenance.models import LogEntry, Organisation

TEXTS = {
    "plan.locked": "The plan was locked",
    "audit.queued": "The run was queued",
    "audit.started": "The run drew its probes and began",
    "audit.finished": "The run finished",
    "audit.failed": "The run failed",
    "audit.cancelled": "The run was cancelled",
    "report.issued": "A report was issued",
    "report.downloaded": "A report was downloaded",
}


def timeline(organisation: Organisation, rows: Iterable[models.Model]) -> list[dict[str, object]]:
    """Entries about these rows in one organisation's chain, oldest first."""
    found = LogEntry.objects.filter(organisation=organisation).about(*rows)
    return [
        {
            "at": entry.at,
            "who": entry.actor_name,
            "text": _text(entry),
            "digest": entry.digests.get("plan") if entry.verb == "plan.locked" else entry.digests.get("probes 1"),
            "tone": wording.verb_tone(entry.verb),
        }
        for entry in found
    ]


def _conclusion(value: str) -> str:
    return str(Audit.Conclusion(value).label) if value in Audit.Conclusion.values else value


def _text(entry: LogEntry) -> str:
    text = TEXTS.get(entry.verb, entry.verb)
    details = entry.details
    if entry.verb == "audit.started" and details.get("attempt", 1) > 1:
        text += f" (attempt {details['attempt']})"
    if details.get("conclusion"):
        text += f": {_conclusion(str(details['conclusion']))}"
    if details.get("reason"):
        text += f": {details['reason']}"
    return text
