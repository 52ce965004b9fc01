"""Writing the evidence log. Every service that changes something calls `record` inside its own transaction."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from provenance import evidence_log
from provenance.models import LogEntry, Organisation, User
from provenance.models.people import subject_of


@transaction.atomic
def record(
    verb: str,
    subject: models.Model,
    *,
    organisation: Organisation,
    by: User | None,
    digests: Mapping[str, str] | None = None,
    details: Mapping[str, Any] | None = None,
) -> LogEntry:
    """Appends one entry to the organisation's chain. Never give it a key, a salt or a list of marked images.

    `by` is None for what the software did by itself. Writers queue at the organisation's row, so places are unique.
    """
    owner = Organisation.objects.select_for_update().get(pk=organisation.pk)
    last = LogEntry.objects.filter(organisation=owner).order_by("-seq").first()
    entry = evidence_log.new_entry(
        after=core_entry(last) if last else None,
        at=timezone.now(),
        actor=_actor(by.pk if by else None, by.display_name if by else "Touchmark"),
        organisation=str(owner.pk),
        verb=verb,
        subject=evidence_log.Subject(**subject_of(subject)),
        digests=digests,
        details=details,
    )
    Organisation.objects.filter(pk=owner.pk).update(log_seq=entry.seq, log_head=entry.hash)
    return LogEntry.objects.create(
        organisation=owner,
        seq=entry.seq,
        at=entry.at,
        actor=by,
        actor_name=by.display_name if by else "Touchmark",
        verb=entry.verb,
        subject_type=entry.subject.type,
        subject_id=entry.subject.id,
        subject_label=entry.subject.label,
        digests=dict(entry.digests),
        details=dict(entry.details),
        previous=entry.previous,
        hash=entry.hash,
    )


def core_entry(row: LogEntry) -> evidence_log.LogEntry:
    """The row as the pure core sees it."""
    return evidence_log.LogEntry(
        seq=row.seq,
        at=row.at,
        actor=_actor(row.actor_id, row.actor_name),
        organisation=str(row.organisation_id),
        verb=row.verb,
        subject=evidence_log.Subject(row.subject_type, row.subject_id, row.subject_label),
        digests=row.digests,
        details=row.details,
        previous=row.previous,
        hash=row.hash,
    )


def _actor(user_id: int | None, name: str) -> str:
    """Who acted, as the hash covers it: the account and the name it had at that time."""
    return name if user_id is None else f"{name} (person {user_id})"


def check(organisation: Organisation, published: Mapping[int, str] | None = None) -> evidence_log.ChainResult:
    """Checks one organisation's whole chain against itself, against the head kept with the organisation, and against
    `published`: hashes by row number that were made known elsewhere, as every issued report does.

    What is published outranks the head in this database, which whoever altered the rows could have altered too.
    """
    organisation.refresh_from_db(fields=["log_seq", "log_head"])
    kept = {organisation.log_seq: organisation.log_head} if organisation.log_seq else {}
    return evidence_log.check_chain(_entries(organisation), kept | dict(published or {}))


def _entries(organisation: Organisation) -> Iterator[evidence_log.LogEntry]:
    for row in LogEntry.objects.filter(organisation=organisation).order_by("seq").iterator(chunk_size=2000):
        yield core_entry(row)
