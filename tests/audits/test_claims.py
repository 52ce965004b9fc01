"""What a plan may claim: pure rules."""

from datetime import UTC, datetime, timedelta

import pytest

from audits.planning.claims import Kind, is_late, kind_of, p_values_shown, series_refusal, untested_copies

SEEN = datetime(2026, 5, 4, tzinfo=UTC)


def test_a_key_is_late_once_the_suspect_is_there():
    assert not is_late(SEEN, SEEN)
    assert is_late(SEEN + timedelta(microseconds=1), SEEN)


@pytest.mark.parametrize(
    ("kind", "others", "begun", "sentence"),
    [
        (Kind.CLOSED, set(), False, ""),
        (Kind.CLOSED, {Kind.CLOSED}, False, "closed run"),
        (Kind.OPEN, {Kind.CLOSED}, False, "closed run"),
        (Kind.OPEN, {Kind.CLOSED, Kind.OPEN}, True, "closed run"),
        (Kind.CLOSED, {Kind.OPEN}, False, "in an open series"),
        (Kind.CLOSED, {Kind.EXPLORATORY}, False, "after a look"),
        (Kind.CLOSED, {Kind.EXPLORATORY}, True, ""),  # it was fixed before the look
        (Kind.OPEN, {Kind.OPEN, Kind.EXPLORATORY}, False, ""),
        (Kind.EXPLORATORY, set(Kind), False, ""),
    ],
)
def test_which_runs_may_stand_beside_which(kind, others, begun, sentence):
    found = series_refusal(kind, others, begun)
    assert (sentence in found) if sentence else not found


def test_a_run_that_is_exploratory_and_open_is_exploratory():
    assert kind_of(exploratory=True, series_is_open=True) is Kind.EXPLORATORY


def test_with_a_recipient_at_issue_only_copies_for_the_same_one_count():
    others = ["Northgate", "Southbank", " northGATE ", ""]
    assert untested_copies(others) == 4
    assert untested_copies(others, "Northgate") == 3
    assert untested_copies(others, "Nobody") == 1


def test_every_p_that_a_run_shows_is_counted():
    assert p_values_shown(releases=2, levels=3, with_references=False) == 6
    assert p_values_shown(releases=2, levels=3, with_references=True) == 12
