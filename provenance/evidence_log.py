"""The evidence log's hash chain: what an entry is, how it is hashed, and how a chain is checked.

An entry's hash is SHA-256(DOMAIN || canonical JSON of its fields), the hash of the entry before it among them. What the
chain shows, and what only anchors do: docs/method.md, section 10.5. Pure Python: rows come in as LogEntry.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Literal

from provenance.canonical import CanonicalError, canonical_json
from provenance.errors import TouchmarkError

DOMAIN = b"touchmark/log/1\n"
GENESIS = "0" * 64

FaultKind = Literal["altered", "missing", "reordered", "inserted"]

_VERB = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z_]*)+\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class LogError(TouchmarkError, ValueError):
    """An entry cannot be written to the evidence log; the message says what to change."""


@dataclass(frozen=True)
class Subject:
    """What an act was done to: the kind of thing, its id, and its name as people knew it at that time."""

    type: str
    id: str
    label: str = ""


@dataclass(frozen=True)
class LogEntry:
    """One row of the log. `hash` is the stored hash; `entry_hash` says what it should be.

    seq counts from 1; `at` is an aware time with microseconds; digests map a name to lower-case hex SHA-256;
    `previous` is the hash of the entry before, GENESIS for the first.
    """

    seq: int
    at: datetime
    actor: str
    organisation: str
    verb: str
    subject: Subject
    digests: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    previous: str = GENESIS
    hash: str = ""

    def body(self) -> dict[str, Any]:
        """The hashed fields as plain JSON values: everything but the hash itself."""
        return {
            "seq": self.seq,
            "at": utc_text(self.at),
            "actor": self.actor,
            "organisation": self.organisation,
            "verb": self.verb,
            "subject": {"type": self.subject.type, "id": self.subject.id, "label": self.subject.label},
            "digests": dict(self.digests),
            "details": dict(self.details),
            "previous": self.previous,
        }


@dataclass(frozen=True)
class Fault:
    """One located fault: the row's seq (the first of them where several are missing), what happened, a sentence."""

    seq: int
    kind: FaultKind
    sentence: str


@dataclass(frozen=True)
class ChainResult:
    """The outcome of a check: how many rows were read, the newest hash, and every fault in order of seq."""

    checked: int
    head_seq: int
    head: str
    faults: tuple[Fault, ...] = ()

    @property
    def intact(self) -> bool:
        return not self.faults

    @property
    def first(self) -> Fault | None:
        return self.faults[0] if self.faults else None


def utc_text(at: datetime) -> str:
    """A time as the log writes it: UTC with microseconds, "2026-05-04T03:02:01.000000Z"."""
    if at.tzinfo is None:
        raise LogError("The time of a log entry must name its time zone.")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def entry_hash(entry: LogEntry) -> str:
    """SHA-256(DOMAIN || canonical JSON of the entry's fields), lower-case hex."""
    return hashlib.sha256(DOMAIN + canonical_json(entry.body())).hexdigest()


def new_entry(
    *,
    after: LogEntry | None,
    at: datetime,
    actor: str,
    organisation: str,
    verb: str,
    subject: Subject,
    digests: Mapping[str, str] | None = None,
    details: Mapping[str, Any] | None = None,
) -> LogEntry:
    """The entry that follows `after` (None: the first one), hashed and ready to store.

    Floats in `details` become their shortest decimal text, because databases write numbers in their own ways and a
    hash must survive the way back. Raises LogError for a verb, digest or value that cannot be stored faithfully.
    """
    if not _VERB.match(verb):
        raise LogError(f"“{verb}” is no verb of the log: write it as “thing.done”, for example “release.embedded”.")
    for name, digest in (digests or {}).items():
        if not _SHA256.match(digest):
            raise LogError(f"The digest “{name}” is not 64 lower-case hexadecimal digits.")
    values = {
        "actor": _storable(actor),
        "organisation": _storable(organisation),
        "subject": Subject(_storable(subject.type), _storable(subject.id), _storable(subject.label)),
        "digests": _storable(dict(digests or {})),
        "details": _storable(dict(details or {})),
    }
    seq, previous = (1, GENESIS) if after is None else (after.seq + 1, after.hash)
    bare = LogEntry(seq=seq, at=at.astimezone(UTC) if at.tzinfo else at, verb=verb, previous=previous, **values)
    try:
        digest = entry_hash(bare)
    except CanonicalError as error:
        raise LogError(str(error)) from error
    return LogEntry(**{**bare.__dict__, "hash": digest})


def _storable(value: Any) -> Any:
    """The value in a form that every database gives back unchanged."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return repr(value)
        case str():
            if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
                raise LogError("Text with null characters or half surrogate pairs cannot be logged.")
            return value
        case Mapping():
            return {_storable(str(key)): _storable(part) for key, part in value.items()}
        case list() | tuple():
            return [_storable(part) for part in value]
        case _:
            raise LogError(f"A {type(value).__name__} cannot be logged: write it as text or as a number.")


@dataclass(frozen=True)
class _Row:
    """What the check needs of one entry; small, so that long logs fit in memory."""

    seq: int
    verb: str
    previous: str
    stored: str
    own: str


def _row(entry: LogEntry) -> _Row:
    try:
        own = entry_hash(entry)
    except (CanonicalError, LogError):
        own = ""  # no honest row ever looked like this
    return _Row(entry.seq, entry.verb, entry.previous, entry.hash, own)


def check_chain(entries: Iterable[LogEntry], anchors: Mapping[int, str] | None = None) -> ChainResult:
    """Checks a log in the order given and locates every altered, missing, moved or inserted row.

    `anchors` maps seq to the hash that was published for it outside the log. A row is genuine when it hashes to what
    the genuine row after it (or an anchor) recorded; where nothing vouches for it, when it hashes to its stored hash.
    """
    anchors = dict(anchors or {})
    rows = [_row(entry) for entry in entries]
    kept, faults = _in_order(rows, anchors)
    faults += _gaps(kept, anchors)
    faults += _alterations(kept, anchors)
    faults.sort(key=lambda fault: (fault.seq, fault.kind))
    head = kept[-1] if kept else None
    return ChainResult(len(rows), head.seq if head else 0, head.stored if head else GENESIS, tuple(faults))


def _in_order(rows: list[_Row], anchors: Mapping[int, str]) -> tuple[list[_Row], list[Fault]]:
    """One row per seq, ascending; faults for rows that share a number or stand in the wrong place."""
    faults: list[Fault] = []
    vouched = {row.seq - 1: row.previous for row in rows if row.own == row.stored} | dict(anchors)
    genuine: dict[int, _Row] = {}
    for row in rows:
        other = genuine.setdefault(row.seq, row)
        if other is not row and row.own == vouched.get(row.seq) != other.own:
            genuine[row.seq] = row
    kept = [row for row in rows if genuine[row.seq] is row]
    for row in rows:
        if genuine[row.seq] is not row:
            faults.append(Fault(row.seq, "inserted", f"A second row numbered {row.seq} ({row.verb}) was inserted."))
    ordered = sorted(kept, key=lambda row: row.seq)
    for found, due in zip(kept, ordered, strict=True):
        if found is not due:
            faults.append(Fault(found.seq, "reordered", f"Row {found.seq} stands where row {due.seq} belongs."))
    if ordered and ordered[0].seq < 1:
        faults += [
            Fault(row.seq, "inserted", f"Row {row.seq} stands before the first.") for row in ordered if row.seq < 1
        ]
        ordered = [row for row in ordered if row.seq >= 1]
    return ordered, faults


def _gaps(rows: list[_Row], anchors: Mapping[int, str]) -> list[Fault]:
    present = [0, *(row.seq for row in rows)]
    gaps = [(before + 1, after - 1) for before, after in pairwise(present) if after > before + 1]
    last_known = max(anchors, default=0)
    if last_known > present[-1]:
        gaps.append((present[-1] + 1, last_known))
    return [Fault(first, "missing", _missing_sentence(first, last)) for first, last in gaps]


def _missing_sentence(first: int, last: int) -> str:
    return f"Row {first} is missing." if first == last else f"Rows {first} to {last} are missing."


def _alterations(rows: list[_Row], anchors: Mapping[int, str]) -> list[Fault]:
    """Walks back from the newest row, so that every row is judged by a row already found genuine."""
    faults: list[Fault] = []
    after: _Row | None = None
    for row in reversed(rows):
        recorded = anchors.get(row.seq)
        if recorded is None and after is not None and after.seq == row.seq + 1:
            recorded = after.previous
        if recorded is not None and row.own != recorded:
            faults.append(_altered(row, "does not hash to what was recorded for it afterwards"))
            after = None
        elif row.own != row.stored:
            what = "carries a hash that is not its own" if recorded else "does not hash to its stored hash"
            faults.append(_altered(row, what))
            after = row if recorded else None
        elif row.seq == 1 and row.previous != GENESIS:
            faults.append(_altered(row, "is the first and still names an entry before it"))
            after = None
        else:
            after = row
    return faults


def _altered(row: _Row, what: str) -> Fault:
    return Fault(row.seq, "altered", f"Row {row.seq} ({row.verb}) was altered: it {what}.")
