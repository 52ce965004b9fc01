"""The hash chain: whatever is done to a row afterwards is found, and found where it was done."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

from provenance.evidence_log import (
    GENESIS,
    LogEntry,
    LogError,
    Subject,
    check_chain,
    entry_hash,
    new_entry,
)

pytestmark = pytest.mark.long


def given(*strategies: st.SearchStrategy):
    return lambda test: settings(max_examples=40, deadline=None)(hypothesis_given(*strategies)(test))


TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)
DIGEST = st.text("0123456789abcdef", min_size=64, max_size=64)
DETAILS = st.dictionaries(
    TEXT,
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | TEXT, st.lists, max_leaves=4),
    max_size=3,
)


@st.composite
def logs(draw, least: int = 2):
    entries: list[LogEntry] = []
    for _ in range(draw(st.integers(least, 8))):
        entries.append(
            new_entry(
                after=entries[-1] if entries else None,
                at=draw(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))),
                actor=draw(TEXT),
                organisation=draw(TEXT),
                verb=draw(st.sampled_from(["release.embedded", "key.drawn", "plan.locked"])),
                subject=Subject("release", draw(TEXT), draw(TEXT)),
                digests=draw(st.dictionaries(TEXT, DIGEST, max_size=2)),
                details=draw(DETAILS),
            )
        )
    return entries


def other(value: str) -> str:
    return "f" * 64 if value != "f" * 64 else "e" * 64


ALTERATIONS = {
    "at": lambda e: replace(e, at=e.at + timedelta(microseconds=1)),
    "actor": lambda e: replace(e, actor=e.actor + "x"),
    "organisation": lambda e: replace(e, organisation=e.organisation + "x"),
    "verb": lambda e: replace(e, verb="key.dropped"),
    "subject type": lambda e: replace(e, subject=replace(e.subject, type="key")),
    "subject id": lambda e: replace(e, subject=replace(e.subject, id=e.subject.id + "1")),
    "subject label": lambda e: replace(e, subject=replace(e.subject, label=e.subject.label + " ")),
    "digests": lambda e: replace(e, digests={**e.digests, "extra": "0" * 64}),
    "details": lambda e: replace(e, details={**e.details, "extra": None}),
    "previous": lambda e: replace(e, previous=other(e.previous)),
    "hash": lambda e: replace(e, hash=other(e.hash)),
}


@given(logs(least=0))
def test_an_untouched_log_is_intact(entries):
    result = check_chain(entries)
    assert result.intact
    assert result.checked == len(entries)
    assert result.head == (entries[-1].hash if entries else GENESIS)


@given(st.data(), logs(), st.sampled_from(sorted(ALTERATIONS)))
def test_altering_any_field_of_any_row_is_located(data, entries, name):
    at = data.draw(st.integers(0, len(entries) - 1))
    entries[at] = ALTERATIONS[name](entries[at])
    result = check_chain(entries)
    assert [(fault.seq, fault.kind) for fault in result.faults] == [(at + 1, "altered")]
    assert f"Row {at + 1} " in result.faults[0].sentence


@given(st.data(), logs(), st.sampled_from(sorted(set(ALTERATIONS) - {"previous", "hash"})))
def test_an_altered_row_with_its_hash_made_anew_is_still_located(data, entries, name):
    at = data.draw(st.integers(0, len(entries) - 2))
    changed = ALTERATIONS[name](entries[at])
    entries[at] = replace(changed, hash=entry_hash(changed))
    assert [(fault.seq, fault.kind) for fault in check_chain(entries).faults] == [(at + 1, "altered")]


@given(st.data(), logs())
def test_a_tail_written_anew_is_located_by_an_anchor(data, entries):
    anchor = {len(entries): entries[-1].hash}
    start = data.draw(st.integers(0, len(entries) - 1))
    entries[start] = replace(entries[start], actor="someone else")
    for index in range(start, len(entries)):
        previous = entries[index - 1].hash if index else GENESIS
        bare = replace(entries[index], previous=previous)
        entries[index] = replace(bare, hash=entry_hash(bare))
    assert check_chain(entries).intact, "the chain alone cannot see this"
    assert [(fault.seq, fault.kind) for fault in check_chain(entries, anchor).faults] == [(len(entries), "altered")]


@given(st.data(), logs())
def test_deleting_any_rows_but_the_last_is_located(data, entries):
    at = data.draw(st.integers(0, len(entries) - 2))
    until = data.draw(st.integers(at + 1, len(entries) - 1))
    del entries[at:until]
    faults = check_chain(entries).faults
    assert [(fault.seq, fault.kind) for fault in faults] == [(at + 1, "missing")]


@given(logs())
def test_a_missing_end_is_located_by_an_anchor(entries):
    anchor = {len(entries): entries[-1].hash}
    removed = entries.pop()
    assert [(f.seq, f.kind) for f in check_chain(entries, anchor).faults] == [(removed.seq, "missing")]


@given(st.data(), logs())
def test_swapping_two_rows_is_located_at_both(data, entries):
    first, second = sorted(data.draw(st.sets(st.integers(0, len(entries) - 1), min_size=2, max_size=2)))
    entries[first], entries[second] = entries[second], entries[first]
    faults = check_chain(entries).faults
    assert [(fault.seq, fault.kind) for fault in faults] == [(first + 1, "reordered"), (second + 1, "reordered")]


@given(st.data(), logs())
def test_swapping_the_numbers_of_two_rows_is_located_at_both(data, entries):
    first, second = sorted(data.draw(st.sets(st.integers(0, len(entries) - 1), min_size=2, max_size=2)))
    one, two = entries[first], entries[second]
    entries[first], entries[second] = replace(two, seq=one.seq), replace(one, seq=two.seq)
    found = {fault.seq for fault in check_chain(entries).faults if fault.kind == "altered"}
    assert found == {first + 1, second + 1}


@given(st.data(), logs())
def test_a_row_slipped_in_is_located(data, entries):
    at = data.draw(st.integers(0, len(entries) - 1))
    forged = new_entry(
        after=entries[at - 1] if at else None,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        actor="mallory",
        organisation="",
        verb="release.forged",
        subject=Subject("release", "1"),
    )
    place = data.draw(st.sampled_from([at, at + 1]))
    faults = check_chain([*entries[:place], forged, *entries[place:]]).faults
    assert (at + 1, "inserted") in [(fault.seq, fault.kind) for fault in faults]
    if at < len(entries) - 1:
        assert "release.forged" in faults[0].sentence
        assert len(faults) == 1


@given(st.data(), logs(least=5))
def test_several_faults_are_all_located(data, entries):
    entries[0] = replace(entries[0], actor=entries[0].actor + "x")
    entries[4] = replace(entries[4], organisation=entries[4].organisation + "x")
    del entries[2]
    found = [(fault.seq, fault.kind) for fault in check_chain(entries).faults]
    assert found == [(1, "altered"), (3, "missing"), (5, "altered")]


def entry(**changes):
    known = {
        "after": None,
        "at": datetime(2026, 3, 2, 1, 0, 0, 7, UTC),
        "actor": "ada",
        "organisation": "Archive",
        "verb": "key.drawn",
        "subject": Subject("key", "k-1", "Key 1"),
    }
    return new_entry(**(known | changes))


def test_the_hash_is_a_known_answer():
    made = entry(details={"p": 1.2e-05, "n": 3})
    assert made.details == {"p": "1.2e-05", "n": 3}
    body = (
        '{"actor":"ada","at":"2026-03-02T01:00:00.000007Z","details":{"n":3,"p":"1.2e-05"},"digests":{},'
        '"organisation":"Archive","previous":"' + "0" * 64 + '","seq":1,'
        '"subject":{"id":"k-1","label":"Key 1","type":"key"},"verb":"key.drawn"}'
    )
    assert made.hash == hashlib.sha256(b"touchmark/log/1\n" + body.encode()).hexdigest()


def test_the_same_moment_in_another_zone_has_the_same_hash():
    moment = datetime(2026, 3, 2, 3, 0, tzinfo=timezone(timedelta(hours=2)))
    assert entry(at=moment).hash == entry(at=moment.astimezone(UTC)).hash


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verb": "Embedded"}, "thing.done"),
        ({"digests": {"root": "ABC"}}, "root"),
        ({"at": datetime(2026, 1, 1)}, "time zone"),
        ({"details": {"a": "\x00"}}, "null"),
        ({"details": {"a": "\ud800"}}, "surrogate"),
        ({"details": {"a": object()}}, "cannot be logged"),
    ],
)
def test_what_cannot_be_stored_faithfully_is_refused(changes, message):
    with pytest.raises(LogError, match=message):
        entry(**changes)
