"""The keys of the same images as a report states them: what became of each, and which the suspect was asked about."""

from dataclasses import dataclass
from typing import Any

from audits.report.wording import short_time, time_text
from provenance.wording import count, counted

MOST_KEYS = 60  # with more keys than this, those about which the suspect was asked are printed, and the first of others


@dataclass(frozen=True)
class KeyFacts:
    """One key. Times are empty where it did not happen; released_to: empty where no copy bears it."""

    state: str
    drawn_at: str
    committed_at: str
    released_to: str
    released_at: str
    tested_at: str  # when this suspect was first asked about it
    late: bool  # committed to after the suspect was first seen
    tested_here: bool  # by this audit


@dataclass(frozen=True)
class KeysFacts:
    """Keys of the data's owner for the same images, at issue; and how copies counted when the plan was locked.

    first_seen_at: of the suspect, on this server; published_on: as declared, empty where nobody did; elsewhere:
    committed keys of other organisations; committed, untested: None in plans of versions that counted no copies.
    """

    first_seen_at: str
    published_on: str
    rows: tuple[KeyFacts, ...]
    elsewhere: int
    never_tested: int
    committed: int | None = None
    untested: int | None = None


def keys_view(keys: KeysFacts | None) -> dict[str, Any]:
    """Finished text, ready to be laid out."""
    if keys is None:
        return {"keys": [], "keys_text": "", "keys_left": 0}
    printed = _printed(keys.rows)
    return {"keys": [_row(key) for key in printed], "keys_text": _text(keys), "keys_left": len(keys.rows) - len(printed)}


def _printed(rows: tuple[KeyFacts, ...]) -> list[KeyFacts]:
    if len(rows) <= MOST_KEYS:
        return list(rows)
    left = [row for row in rows if not row.tested_here][:MOST_KEYS]
    return [row for row in rows if row.tested_here or row in left]


def _row(key: KeyFacts) -> list[str]:
    committed = _time(key.committed_at) + (" (after the suspect was first seen)" if key.late else "")
    released = f"{key.released_to}, {_time(key.released_at)}" if key.released_at else key.released_to or "–"
    tested = _time(key.tested_at) if key.tested_at else "never"
    return [key.state, _time(key.drawn_at), committed, released, f"{tested} (this audit)" if key.tested_here else tested]


def _time(text: str) -> str:
    return short_time(text) if text else "–"


def _text(keys: KeysFacts) -> str:
    published = f"; its publication was declared for {keys.published_on}" if keys.published_on else ""
    said = [
        f"The suspect was first seen on {time_text(keys.first_seen_at)}{published}. A key that was committed to "
        "afterwards can give no evidence by itself.",
        f"{counted(len(keys.rows), 'key')} of the same images had been drawn by the owner when this report was issued; "
        f"{'no' if not keys.never_tested else count(keys.never_tested)} released "
        f"{'copy' if keys.never_tested == 1 else 'copies'} of them had never been tested against this suspect.",
    ]
    if keys.committed is not None:
        said.append(
            f"When the plan was locked, {counted(keys.committed, 'key')} of all organisations had been committed to, and "
            f"{count(keys.untested)} of them count in the correction without having been tested."
        )
    if keys.elsewhere:
        said.append(f"{counted(keys.elsewhere, 'key')} of other organisations are not listed.")
    return " ".join(said)
