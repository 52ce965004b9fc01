"""What a report shows of the keys of the same images."""

from typing import Any

from audits.report.keys import KeyFacts, KeysFacts
from audits.report.wording import moment, short_time, time_text
from provenance.wording import count, counted

MOST_KEYS = 60  # with more keys than this, those that this audit tested are printed, and the first of the others


def keys_view(keys: KeysFacts | None, started_at: str) -> dict[str, Any]:
    """Finished text, ready to be laid out. started_at: when the run began that the report is about."""
    if keys is None:
        return {"keys": [], "keys_text": "", "keys_left": 0}
    printed = _printed(keys.rows)
    return {
        "keys": [_row(key, started_at) for key in printed],
        "keys_text": _text(keys),
        "keys_left": len(keys.rows) - len(printed),
    }


def _printed(rows: tuple[KeyFacts, ...]) -> list[KeyFacts]:
    if len(rows) <= MOST_KEYS:
        return list(rows)
    left = [row for row in rows if not row.tested_here][:MOST_KEYS]
    return [row for row in rows if row.tested_here or row in left]


def _row(key: KeyFacts, started_at: str) -> list[str]:
    committed = _time(key.committed_at) + (" (after the suspect was first seen)" if key.late else "")
    released = f"{key.released_to}, {_time(key.released_at)}" if key.released_at else key.released_to or "–"
    tested = _time(key.tested_at) if key.tested_at else "never"
    if key.tested_here:
        earlier = key.tested_at and moment(key.tested_at) < moment(started_at)
        tested = f"{tested} (an earlier run), and in this audit" if earlier else f"{tested} (this audit)"
    return [
        key.state,
        _time(key.drawn_at),
        committed,
        released,
        tested,
    ]


def _time(text: str) -> str:
    return short_time(text) if text else "–"


def _of_them_count(number: int) -> str:
    return f"{count(number) if number else 'none'} of them {'count' if number > 1 else 'counts'}"


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
            f"When the plan was locked, {counted(keys.committed, 'key')} had been committed to, of all organisations, "
            f"and {_of_them_count(keys.untested or 0)} in the correction without having been tested."
        )
    if keys.elsewhere:
        said.append(f"{counted(keys.elsewhere, 'key')} of other organisations are not listed.")
    return " ".join(said)
