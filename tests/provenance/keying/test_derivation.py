import hashlib
import hmac
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.keying import KeyingError, Prf, derive, keyed_permutation, philox

KEY, BEACON = b"k" * 32, b"b" * 32


def test_derive_is_hkdf_sha256_with_the_beacon_as_salt():
    extracted = hmac.new(BEACON, KEY, hashlib.sha256).digest()
    first = hmac.new(extracted, b"touchmark/1/assignment\x01", hashlib.sha256).digest()
    second = hmac.new(extracted, first + b"touchmark/1/assignment\x02", hashlib.sha256).digest()
    assert derive(KEY, BEACON, "assignment", 40) == (first + second)[:40]


def test_key_beacon_and_purpose_all_matter():
    results = {
        derive(KEY, BEACON, "patterns"),
        derive(b"K" * 32, BEACON, "patterns"),
        derive(KEY, b"B" * 32, "patterns"),
        derive(KEY, BEACON, "patterns/patch"),
    }
    assert len(results) == 4


@pytest.mark.parametrize(
    ("key", "beacon", "purpose", "length"),
    [
        (b"short", BEACON, "a", 32),
        (KEY, b"", "a", 32),
        (KEY, BEACON, "", 32),
        (KEY, BEACON, "Upper", 32),
        (KEY, BEACON, "a", 0),
        (KEY, BEACON, "a", 9000),
    ],
)
def test_malformed_requests_are_refused(key, beacon, purpose, length):
    with pytest.raises(KeyingError):
        derive(key, beacon, purpose, length)


def test_philox_streams_are_fixed():
    raw = philox(KEY, BEACON, "assignment").bit_generator.random_raw(3)
    again = np.random.Philox(key=int.from_bytes(derive(KEY, BEACON, "assignment", 16), "little")).random_raw(3)
    assert raw.tolist() == again.tolist()


def test_permutations_are_uniform():
    counts = Counter(tuple(keyed_permutation(philox(KEY, BEACON, f"trial/{i}"), 3)) for i in range(3000))
    assert len(counts) == 6
    chi_squared = sum((n - 500) ** 2 / 500 for n in counts.values())
    assert chi_squared < 25.7  # the 0.9999 quantile at 5 degrees of freedom


@given(st.lists(st.text(), min_size=1, max_size=4), st.lists(st.text(), min_size=1, max_size=4))
def test_the_prf_tells_word_lists_apart(left, right):
    prf = Prf(KEY, BEACON, "choice")
    assert (prf.digest(*left) == prf.digest(*right)) == (left == right)


@given(st.text())
def test_fractions_lie_in_the_unit_interval(word):
    values = Prf(KEY, BEACON, "placement").fractions(4, word)
    assert all(0 <= value < 1 for value in values)
    assert Prf(KEY, BEACON, "placement").fractions(4, word) == values


def test_fractions_are_spread_evenly():
    prf = Prf(KEY, BEACON, "placement")
    values = [prf.fractions(1, str(i))[0] for i in range(4000)]
    assert abs(np.mean(values) - 0.5) < 4 * math.sqrt(1 / 12 / 4000)


def test_a_prf_never_shows_its_key():
    assert repr(Prf(KEY, BEACON, "choice")) == "Prf(...)"
