"""The evidence log's part of a report: the rows about one audit, and the check of the chains they stand in."""

from datetime import datetime

from django.db import models
from django.utils import timezone

from audits.models import Audit
from audits.report.facts import LogExtract, LogLine
from provenance.models import LogEntry, Organisation, Release
from provenance.services import log


def time_text(moment: datetime | None) -> str:
    """ISO 8601 in UTC. Every act that a report names has happened, so its time is there."""
    assert moment is not None  # noqa: S101
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def log_extract(audit: Audit, organisation: Organisation) -> LogExtract:
    """What this organisation's log says about the audit and all it rests on, and the check of the whole chain."""
    plan = audit.plan
    releases = list(Release.objects.filter(audit_rows__audit=audit).select_related("key"))
    matter: list[models.Model] = [plan.version.dataset, plan.version, plan.suspect, plan, audit, *releases]
    matter += [release.key for release in releases]
    matter += list(plan.references.all())
    entries = LogEntry.objects.filter(organisation=organisation).about(*matter)
    checked = log.check(organisation)
    return LogExtract(
        organisation=organisation.name,
        lines=tuple(_line(entry, organisation) for entry in entries.exclude(verb__endswith=".downloaded")),
        entries=checked.checked,
        intact=checked.intact,
        head_seq=checked.head_seq,
        head=checked.head,
        checked_at=time_text(timezone.now()),
        faults=tuple(fault.sentence for fault in checked.faults),
        organisation_id=str(organisation.pk),
    )


def _line(entry: LogEntry, organisation: Organisation) -> LogLine:
    return LogLine(
        seq=entry.seq,
        at=time_text(entry.at),
        actor=entry.actor_name,
        organisation=organisation.name,
        verb=entry.verb,
        subject=_subject(entry),
        hash=entry.hash,
        digests=dict(entry.digests),
    )


def _subject(entry: LogEntry) -> str:
    """The label, with the kind of thing before it where the label does not say it."""
    kind, label = entry.subject_type, entry.subject_label
    return label if kind in label.split(" ")[0] or f", {kind} " in label else f"{kind} {label}"
