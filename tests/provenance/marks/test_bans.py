"""Bans as people write them, and how many assignments they leave."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from provenance.marks import MarkSettings, Restriction, RestrictionError, SettingsError
from provenance.marks.bans import read_bans
from provenance.marks.restriction import MOST_ENUMERATED

GROUPS = ("ant", "bee", "sea cow", "dog")


def test_patterns_count_from_one_and_groups_go_by_name():
    assert read_bans(["1: ant", "", "  4 :sea   cow ", "2:dog"], GROUPS) == ((0, 0), (3, 2), (1, 3))
    assert read_bans([], GROUPS) == ()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("dog", "a colon and a group's name"),
        ("dog: 2", "a colon and a group's name"),
        ("2:", "a colon and a group's name"),
        ("-1: dog", "a colon and a group's name"),
        ("0: dog", "count from 1 to 4, not 0"),
        ("5: dog", "count from 1 to 4, not 5"),
        ("2: cat", "called “cat”"),
    ],
)
def test_a_line_that_says_nothing_is_quoted(line, sentence):
    with pytest.raises(SettingsError, match=sentence):
        read_bans([line], GROUPS)


def test_settings_tell_bans_and_classes_by_name():
    bound = MarkSettings(groups=GROUPS, size_classes=(1, 0, 1, 0), forbidden=((2, 0),))
    assert bound.class_names == (("bee", "dog"), ("ant", "sea cow"))
    assert bound.banned_names == ((3, "ant"),)
    assert MarkSettings(groups=GROUPS).class_names == ()


@given(
    size=st.integers(2, 6),
    banned=st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12),
    block=st.integers(0, 6),
)
@budget(max_examples=150, deadline=None)
def test_possible_assignments_are_counted_as_one_by_one(size, banned, block):
    allowed = np.ones((size, size), dtype=bool)
    for pattern, group in banned:
        if pattern < size and group < size:
            allowed[pattern, group] = False
    blocks = [int(group >= block) for group in range(size)]
    orders = [
        order
        for order in itertools.permutations(range(size))
        if all(allowed[p, g] and blocks[p] == blocks[g] for p, g in enumerate(order))
    ]
    try:
        restriction = Restriction.within(blocks, allowed)
    except RestrictionError:
        assert not orders
        return
    assert restriction.possible() == len(orders)


@pytest.mark.parametrize("groups", [10, 16, 64])
def test_too_many_to_enumerate_is_known_at_once(groups):
    names = tuple(f"group {number}" for number in range(groups))
    bound = MarkSettings(groups=names, forbidden=((0, 0), (1, 2)))
    assert bound.restriction.possible() is None
    assert bound.smallest_p == 1 / MOST_ENUMERATED


def test_many_bans_in_a_large_block_are_counted():
    allowed = np.eye(12, dtype=bool) | np.eye(12, k=1, dtype=bool) | np.eye(12, k=-1, dtype=bool)
    fibonacci = [1, 1]
    while len(fibonacci) < 13:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    assert Restriction.within([0] * 12, allowed).possible() == fibonacci[12] == 233
    assert math.factorial(10) > MOST_ENUMERATED > math.factorial(9)
