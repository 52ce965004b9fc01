"""What a key chooses in a withheld set: exactly one of every block, uniformly, and nothing else sees it."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from audits.statistics.choices import Blocks
from provenance.keying import KeyingError
from provenance.marks import (
    ImageBlocks,
    MarkSets,
    MarkSettings,
    SettingsError,
    WithheldSettings,
    candidates_of_sets,
    plan_marks,
)
from provenance.marks.keyed_choice import choose
from tests.provenance.marks.blocking import random_blocks
from tests.provenance.marks.builders import Entry, Listed

BEACON = b"b" * 32
DIGEST = "ab" * 32


def chosen(key: int, blocks, *, size: int = 4, share: float = 0.1, number: int = 0):
    return choose(key.to_bytes(32, "big"), BEACON, WithheldSettings(DIGEST, size, share), blocks, number)


@given(
    key=st.integers(0, 2**64),
    seed=st.integers(0, 50),
    count=st.integers(1, 40),
    size=st.integers(2, 16),
    part=st.floats(0.05, 1),
)
@budget(max_examples=60, deadline=None)
def test_it_is_what_the_test_of_choices_takes(key, seed, count, size, part):
    blocks = random_blocks(seed, count, size)
    choice = chosen(key, blocks, size=size, share=part / size)
    tested = Blocks(choice.block_of, choice.home)  # refuses what is no choice
    assert len(tested) == len(choice)
    assert (tested.sizes == size).all()
    assert len(set(choice.positions.tolist())) == len(choice) * size
    for block in range(len(choice)):
        own = choice.positions[choice.block_of == block]
        assert len(set(blocks.block_of[own])) == 1
        assert np.array_equal(own, blocks.first_of_unit[blocks.unit_of[own]])
        assert own.tolist() == sorted(own.tolist())  # the order of alternatives tells nothing


@given(key=st.integers(0, 2**32), seed=st.integers(0, 50))
@budget(max_examples=30, deadline=None)
def test_a_unit_stays_home_as_a_whole_or_not_at_all(key, seed):
    blocks = random_blocks(seed, 20, 4)
    choice = chosen(key, blocks)
    at_home, involved = set(choice.images_at_home(blocks).tolist()), set(choice.images(blocks).tolist())
    units = {int(blocks.unit_of[image]) for image in at_home}
    assert at_home == {image for image in range(len(blocks)) if int(blocks.unit_of[image]) in units}
    assert at_home < involved
    per_block = Counter(int(blocks.block_of[blocks.first_of_unit[unit]]) for unit in units)
    assert set(per_block.values()) == {1}
    assert len(per_block) == len(choice)


def test_the_same_key_chooses_the_same_and_another_not():
    blocks = random_blocks(1, 60, 4)
    one, again, other = chosen(1, blocks), chosen(1, blocks), chosen(2, blocks)
    assert np.array_equal(one.home, again.home)
    assert np.array_equal(one.positions, again.positions)
    assert not np.array_equal(one.positions, other.positions)


def test_the_choice_is_fixed_for_good():
    """A change of these numbers would make every earlier release with a withheld set unreadable."""
    blocks = ImageBlocks(np.arange(180, dtype=np.int32), np.arange(180, dtype=np.int32) % 60)
    choice = chosen(7, blocks, size=3, share=0.03)
    assert choice.positions.tolist() == POSITIONS
    assert choice.home.tolist() == HOME
    later = chosen(7, blocks, size=3, share=0.03, number=1)
    assert later.home.tolist() != HOME


POSITIONS = [15, 75, 135, 9, 69, 129, 55, 115, 175, 30, 90, 150, 50, 110, 170]
HOME = [2, 3, 6, 10, 13]


@pytest.mark.parametrize("size", [2, 3, 4, 7])
def test_every_alternative_is_as_likely_as_any_other_whatever_block(size):
    """Over 400 keys: where a block's pick lies, and that the picks of two blocks do not follow each other."""
    blocks = random_blocks(1, 10, size, most=1, outside=0)
    picks = np.array([chosen(key, blocks, size=size, share=1 / size).home % size for key in range(400)])
    expected = picks.size / size
    counts = np.bincount(picks.ravel(), minlength=size)
    assert ((counts - expected) ** 2 / expected).sum() < 30  # 6 degrees of freedom at most: 4e-5
    pairs = np.bincount((picks[:, :-1] * size + picks[:, 1:]).ravel(), minlength=size * size)
    expected = pairs.sum() / size**2
    assert ((pairs - expected) ** 2 / expected).sum() < 48 + 5 * np.sqrt(2 * 48)


def test_every_block_is_as_likely_used_as_any_other_and_as_likely_first():
    blocks = random_blocks(1, 20, 4, most=1, outside=0)
    first = Counter(int(blocks.block_of[chosen(key, blocks, share=0.1).positions[0]]) for key in range(600))
    assert set(first) == set(range(20))
    assert sum((first[block] - 30) ** 2 / 30 for block in range(20)) < 55  # 19 degrees of freedom: 2e-5


def test_a_larger_share_uses_the_same_blocks_first():
    blocks = random_blocks(1, 40, 4)
    few, many = chosen(3, blocks, share=0.05), chosen(3, blocks, share=0.2)
    assert many.positions[: len(few.positions)].tolist() == few.positions.tolist()
    assert many.home[: len(few)].tolist() == few.home.tolist()


def test_blocks_of_another_size_or_none_at_all_are_refused():
    with pytest.raises(SettingsError, match="have 3 alternatives, and the settings say 4"):
        chosen(1, random_blocks(1, 5, 3))
    with pytest.raises(SettingsError, match="no block to choose from"):
        chosen(1, random_blocks(1, 0, 3))
    with pytest.raises(KeyingError):
        choose(b"short", BEACON, WithheldSettings(DIGEST), random_blocks(1, 5, 4))


def test_a_choice_never_shows_itself():
    blocks = random_blocks(1, 30, 4)
    choice = chosen(1, blocks)
    assert repr(choice) == f"KeyedChoice(<{len(choice)} blocks>)"


@given(key=st.integers(0, 2**32), seed=st.integers(0, 20), share=st.floats(0.01, 0.2))
@budget(max_examples=25, deadline=None)
def test_no_image_of_a_used_block_is_a_candidate_of_a_struck_set(key, seed, share):
    blocks = random_blocks(seed, 40, 4)
    names = ("ant", "bee", "cow", "dog")
    entries = Listed(Entry(f"{i}.jpg", f"{i:064x}", names[i % 4]) for i in range(len(blocks)))
    struck = MarkSettings(groups=names, share=share)
    marks = MarkSets((struck, WithheldSettings(DIGEST, 4, 0.05)))
    secrets, choice = (
        marks.derive(key.to_bytes(32, "big"), BEACON),
        marks.choose(key.to_bytes(32, "big"), BEACON, blocks),
    )
    counts = [[group.images for group in plan_marks(entries, struck).groups]]
    in_choice = set(choice.images(blocks).tolist())
    (groups,) = candidates_of_sets(secrets, entries, counts, in_choice)
    proposed = {image.position for group in groups for image in group.images}
    assert proposed
    assert not proposed & in_choice


def test_a_release_without_struck_sets_proposes_no_candidate():
    assert candidates_of_sets((), Listed([]), []) == []
    assert MarkSets((MarkSettings(association="plain"),)).choose(bytes(32), BEACON, random_blocks(1, 5, 4)) is None
