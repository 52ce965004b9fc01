"""Embedding gives the same bits everywhere and for good: releases that are out must come out the same again."""

import hashlib
import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from provenance.keying import philox
from provenance.marks import MarkSettings, families, family_for, mixing, moving, waves
from tests.provenance.marks import formula
from tests.provenance.marks.bits import STRENGTHS, Case, case, cases, family_of

NAMES = sorted(families())

# Of what releases got when NumPy still computed it: levels of 8 and of 16 bits, then sums of the same before rounding.
DIGESTS = {
    ("blend", "discreet"): ("d504e405cd7daef2", "c2f18d60aa63b1a8", "4405f577debcfe2b", "57700e9d29219c27"),
    ("blend", "balanced"): ("e935f7924794779a", "2704e85749e92efd", "47bd5dbed6de07a1", "d6abacd539aa16b1"),
    ("blend", "strong"): ("f0b03c046d978ccf", "7d8bc144572a535f", "24d5dce020e9840f", "5a6c93490dd9e5b5"),
    ("blend", "many periods"): ("771e1390e8e19d5b", "5482bedca76791ff", "20e07f34e41f99e4", "ef35775fc8a4acdf"),
    ("patch", "discreet"): ("b97f9e6db80c3dc1", "9983b949bd5d2d56", "b61028d5743933f2", "7e0fe49a56a96bf3"),
    ("patch", "balanced"): ("3391e32cf75186f7", "29c42f73bfb6ed39", "1b5dc66b05e11ad8", "aa53669321de9299"),
    ("patch", "strong"): ("c2d5e2902ad6b255", "d6e6f4f7be385512", "ff08d6a4f5d0c081", "f6393472fb621e14"),
    ("patch", "many periods"): ("407821fde84ac3af", "e063090ad510a4d8", "97f526613d492d44", "4d9c4bbeeea5500b"),
    ("spectral", "discreet"): ("4a3e292349de2608", "a2bb0ebf701427dc", "b92992a885fbc5f8", "40ab25575afcdb69"),
    ("spectral", "balanced"): ("b3336f4ea4db00b7", "4b6f070785ec6ea0", "6f51a73310ef5c6e", "2dd2a398133327b9"),
    ("spectral", "strong"): ("a9a1a4422c7359b2", "51eeae554ed2368c", "8ac4b9bb35fa5d98", "c5f245570ee14860"),
    ("spectral", "many periods"): ("49128d262c70e48a", "16187f2a928f0909", "7a773a8f1543d8a5", "f4cc0a2044f106b3"),
    ("warp", "discreet"): ("ffcfe024502b9ef4", "470af370b5e89d35", "e33be81a37a64f6c", "f092fdb72359b808"),
    ("warp", "balanced"): ("2de7d927abde24ca", "24aecea924404a28", "6c459751519d0623", "7b601473a99ad742"),
    ("warp", "strong"): ("1719a0a75a78f4b7", "b999e13edccf7d48", "94cfa16d9db1635f", "c3faaba0d9ba5dba"),
    ("warp", "many periods"): ("a1df710df29dc163", "444bd77a7de684af", "e2a846f42a84e5d0", "17904a3b069eb8fc"),
}


def digest(images: Iterable[np.ndarray]) -> str:
    state = hashlib.sha256()
    for image in images:
        state.update(image.tobytes())
    return state.hexdigest()[:16]


def marked(one: Case) -> np.ndarray:
    return one.family.mix(one.pixels, one.pattern, one.place, out=np.empty(one.pixels.shape, one.pixels.dtype))


def sums(one: Case) -> np.ndarray:
    unit = np.float32(257 if one.pixels.dtype == np.uint16 else 1)
    return one.family.mix(one.pixels.astype(np.float32) / unit, one.pattern, one.place)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("name", NAMES)
def test_marked_levels_stay(name, strength):
    found = [digest(map(marked, cases(name, strength, dtype))) for dtype in ("u1", "u2")]
    found += [digest(map(sums, cases(name, strength, dtype))) for dtype in ("u1", "u2")]
    assert tuple(found) == DIGESTS[name, strength]


@pytest.mark.parametrize("name", NAMES)
@budget(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(8, 90), st.integers(8, 90), st.sampled_from([1, 3, 4])),
    place=st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True)),
    strength=st.sampled_from(STRENGTHS),
    dtype=st.sampled_from(["u1", "u2"]),
)
def test_machine_code_and_numpy_agree_to_the_bit(name, shape, place, strength, dtype):
    one = case(family_of(name, strength), shape, place, dtype)
    expected = formula.mixed(one.family, one.pixels, one.pattern, place, one.pixels.dtype)
    assert marked(one).tobytes() == expected.tobytes()
    assert sums(one).tobytes() == formula.mixed(one.family, one.pixels, one.pattern, place).tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_rows_with_gaps_and_pixels_that_nobody_may_write_give_the_same(name):
    one = case(family_of(name, "balanced"), (61, 47, 3), (0.2, 0.6), "u1")
    wide = np.zeros((*one.pixels.shape[:2], 5), np.uint8)
    wide[:, :, 1:4] = one.pixels
    wide.flags.writeable = False
    again = case(one.family, (61, 47, 3), one.place, "u1")
    again = Case(again.family, wide[:, :, 1:4], again.pattern[::-1][::-1], again.place)
    assert np.array_equal(marked(again), marked(one))


def test_few_kinds_of_arrays_are_compiled():
    for name in NAMES:
        for dtype, size in (("u1", 33), ("u2", 20), ("u1", 64)):
            one = case(family_of(name, "balanced"), (size, size + 3, 1), (0.5, 0.5), dtype)
            marked(one)
            sums(one)
    assert {len(loop.signatures) for loop in (mixing.cover, mixing.add_field, moving.move)} == {3}


def test_tiles_do_not_depend_on_the_last_digits_of_a_cosine(monkeypatch):
    """Libraries differ there. Every wave that a pattern can be, and sums as plain marks have them."""

    def patterns() -> list[np.ndarray]:
        found = []
        for name in ("blend", "spectral", "warp"):
            family = family_for(MarkSettings(family=name, association="plain"))
            found += [waves.as_tile(wave.field()) for wave in family._pool()]
            found += [family.balanced_pattern(philox(bytes([key]) * 32, bytes(32), "p")) for key in range(5)]
        return found

    before, cosine = patterns(), np.cos
    for off in (-4, 4):
        monkeypatch.setattr(np, "cos", lambda angle, off=off: cosine(angle) * (1 + off * np.finfo(float).eps))
        assert all(np.array_equal(one, two) for one, two in zip(before, patterns(), strict=True))
    monkeypatch.setattr(np, "cos", np.vectorize(math.cos))
    assert all(np.array_equal(one, two) for one, two in zip(before, patterns(), strict=True))
