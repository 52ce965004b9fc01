"""Numbers and names in a report: what a reader sees must not mislead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.report.facts import FactsError
from audits.report.wording import moment, one_in, printable, setting_rows, time_text


@given(st.floats(1e-9, 0.5))
def test_the_odds_are_never_better_than_p(p):
    cases = float(one_in(p).removeprefix("1 case in ").replace(",", "")) if "1 case" in one_in(p) else 100
    if "1 case" in one_in(p):
        assert cases <= 1 / p * (1 + 1e-9)
        assert cases >= 0.8 / p or cases < 10


def test_times_are_written_in_utc():
    assert time_text("2026-05-04T05:02:01+02:00") == "4 May 2026, 03:02:01 UTC"
    with pytest.raises(FactsError, match="time zone"):
        moment("2026-05-04T05:02:01")
    with pytest.raises(FactsError, match="no time"):
        moment("yesterday")


@given(st.text(max_size=80))
def test_nothing_invisible_reaches_the_page(text):
    shown = printable(text).replace("\u200b", "")
    assert not any(ord(c) < 32 or c in "\u202a\u202e\u2066\u2067\u200f\ufeff" for c in shown)


def test_a_direction_override_is_shown_as_what_it_is():
    assert printable("invoice\u202egpj.exe") == "invoice[U+202E]gpj.exe"


def test_a_long_word_can_break_and_a_digest_stays_whole():
    assert "\u200b" in printable("A" * 100)
    assert printable("a" * 64) == "a" * 64


def test_settings_are_named_in_words():
    rows = setting_rows({"share": 0.05, "groups": ["cat", "dog"], "extra_knob": True, "family": "patch"})
    assert {row[0]: row[1] for row in rows} == {
        "Family of the mark": "patch",
        "Groups": "2: cat, dog",
        "Share of each group marked": "5 %",
        "Extra knob": "yes",
    }


def test_settings_of_plain_marks_speak_of_no_groups():
    rows = dict(setting_rows({"association": "plain", "group_by": "class", "groups": [], "share": 0.1, "bend": 0.04}))
    assert rows["Share of all images marked"] == "10 %"
    assert rows["Farthest displacement"] == "0.04 of the image's short edge"
    assert not any("roup" in name for name in rows)


def test_size_classes_name_their_groups():
    rows = dict(setting_rows({"groups": ["cat", "elm", "dog"], "size_classes": [1, 0, 1]}))
    assert rows["Size classes of the groups"] == "2; patterns are exchanged only within one (elm; cat, dog)"
