from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import wording

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0 bytes"), (1, "1 byte"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (5_033_165, "4.8 MiB")],
)
def test_file_sizes(value, text):
    assert wording.file_size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (1.0, "1.00"),
        (0.5, "0.50"),
        (0, "0"),
        (0.0421, "0.042"),
        (0.001, "0.001"),
        (2.76e-7, "2.8 × 10⁻⁷"),
        (1e-5, "1.0 × 10⁻⁵"),
    ],
)
def test_p_values(value, text):
    assert wording.p_value(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "under 0.1 s"),
        (0.04, "under 0.1 s"),
        (0.536, "0.5 s"),
        (0.97, "1 s"),
        (1, "1 s"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (timedelta(days=1, hours=2, minutes=5), "1 d 2 h"),
    ],
)
def test_durations(value, text):
    assert wording.duration(value) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 600, "None of the 600 captions has"),
        (1, 600, "1 of the 600 captions has"),
        (12, 60_000, "12 of the 60,000 captions have"),
        (600, 600, "All 600 captions have"),
        (0, 0, "None of the 0 captions has"),
    ],
)
def test_parts_of_a_whole(part, whole, text):
    assert wording.part_of(part, whole, "captions", "has,have") == text


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=1), "just now"),
        (timedelta(seconds=59), "59 seconds ago"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=-3), "in 3 hours"),
        (timedelta(days=400), "1 year ago"),
    ],
)
def test_relative_hints(ago, text):
    assert wording.relative(NOON - ago, NOON) == text


def test_moments_are_in_utc():
    east = datetime.fromisoformat("2026-05-04T14:00:00+02:00")
    assert wording.moment(east) == "2026-05-04 12:00:00 UTC"


@pytest.mark.parametrize(("share", "text"), [(0.125, "12.5 %"), (0.5, "50 %"), (None, "–")])
def test_shares(share, text):
    assert wording.percent(share) == text


@pytest.mark.parametrize(("value", "text"), [(0.013, "0.0130"), (4.987, "4.99"), (120.0, "120"), (None, "–")])
def test_measured_numbers_keep_their_digits(value, text):
    assert wording.significant(value) == text


@pytest.mark.parametrize(
    ("name", "text"), [("manifest_root", "Manifest root"), ("pdf", "PDF"), ("json_sha256", "JSON SHA-256")]
)
def test_names_as_people_read_them(name, text):
    assert wording.words(name) == text


def test_rates_of_errors_keep_two_places():
    assert wording.rate(0.0512) == "5.12 %"
    assert wording.rates(0.04, 0.0617) == "4.00–6.17"


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (1.2e-5, "1.2 × 10⁻⁵"),
        (9.99999e-7, "1.0 × 10⁻⁶"),
        (0.012, "0.012"),
        (0.41, "0.41"),
        (0.05, "0.05"),
        (1.0, "1.00"),
    ],
)
def test_p_has_two_significant_digits(p, text):
    assert wording.p_value(p) == text


@pytest.mark.parametrize(("p", "text"), [(0.010004, "0.010004"), (0.0099996, "0.0099996"), (0.0499, "0.0499")])
def test_rounding_never_carries_p_across_alpha(p, text):
    alpha = 0.05 if p > 0.04 else 0.01
    assert wording.p_value(p, alpha) == text


@given(st.floats(1e-12, 1.0), st.sampled_from([0.05, 0.01, 0.001]))
def test_the_text_of_p_lies_on_the_same_side_of_alpha(p, alpha):
    text = wording.p_value(p, alpha)
    plain = text.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")).replace(" × 10", "e")
    assert (float(plain) <= alpha) == (p <= alpha)
    assert float(plain) == pytest.approx(p, rel=0.06)


def test_numbers_have_a_true_minus_and_three_digits():
    assert wording.significant(-0.0021333) == "−0.00213"
    assert wording.significant(0) == "0"
    assert wording.significant(3.2e-9) == "3.20 × 10⁻⁹"
    assert wording.significant(12345.6) == "12,346"


def test_bytes_keep_the_exact_count():
    assert wording.exact_size(167_251_904) == "159.5 MiB (167,251,904 bytes)"
    assert wording.exact_size(7) == "7 bytes"
