"""Several mark sets of one release: apart from each other, independent, and with room left for clean images."""

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as budget
from hypothesis import strategies as st

from provenance.marks import MarkSets, MarkSettings, SettingsError, candidates_of_sets, plan_marks
from provenance.marks.groups import number_marked
from provenance.marks.room import LEAST_PROBES, check_room, membership
from tests.provenance.marks.builders import Entry

KEY, BEACON = bytes(32), b"b" * 32
GROUPS = ("ant", "bee", "cow", "dog", "eel")
COLOURS = ("red", "green", "blue", "black", "white")


def dataset(count: int) -> list[Entry]:
    """Labels in turn; captions name a colour that changes independently of the label."""
    return [
        Entry(
            f"{i}.jpg",
            hashlib.sha256(str(i).encode()).hexdigest(),
            GROUPS[i % 5],
            f"a {COLOURS[i // 5 % 5]} {GROUPS[i % 5]}",
        )
        for i in range(count)
    ]


def by_class(share: float, **changes) -> MarkSettings:
    return MarkSettings(groups=GROUPS, share=share, **changes)


def by_word(share: float) -> MarkSettings:
    return MarkSettings(groups=COLOURS, group_by="word", share=share, opacity=0.9)


def plain(share: float) -> MarkSettings:
    return MarkSettings(association="plain", family="blend", share=share)


def drawn(marks: MarkSets, entries: list[Entry], key: int = 0):
    counts = [[group.images for group in plan_marks(entries, mark).groups] for mark in marks]
    return candidates_of_sets(marks.derive(bytes([key]) * 32, BEACON), entries, counts), counts


def positions(groups) -> list[int]:
    return [image.position for group in groups for image in group.images]


SETS = st.lists(
    st.tuples(st.sampled_from([by_class, by_word, plain]), st.floats(0.01, 0.3)), min_size=1, max_size=4
).map(lambda chosen: MarkSets(tuple(make(share) for make, share in chosen)))


@given(marks=SETS, count=st.integers(60, 400), key=st.integers(0, 255))
@budget(max_examples=40, deadline=None)
def test_no_image_is_in_two_sets(marks, count, key):
    proposed, _ = drawn(marks, dataset(count), key)
    every = [position for groups in proposed for position in positions(groups)]
    assert len(every) == len(set(every))


@given(
    shares=st.lists(st.floats(0.01, 0.5), min_size=1, max_size=4), count=st.integers(20, 500), key=st.integers(0, 255)
)
@budget(max_examples=60, deadline=None)
def test_where_there_is_room_every_set_gets_what_it_wants_and_clean_images_remain(shares, count, key):
    marks, entries = MarkSets(tuple(by_class(share) for share in shares)), dataset(count)
    try:
        check_room(marks, membership(entries, marks))
    except SettingsError:
        assume(False)
    proposed, counts = drawn(marks, entries, key)
    taken = Counter()
    for groups, images, share in zip(proposed, counts, shares, strict=True):
        for group, number in zip(groups, images, strict=True):
            assert group.wanted == number_marked(number, share) <= len(group.images)
            taken[group.group] += len(group.images)
    assert all(taken[group] < number for group, number in enumerate(counts[0]))
    assert count - sum(taken.values()) >= LEAST_PROBES + len(GROUPS)


@given(share=st.floats(0.01, 1), count=st.integers(20, 500), key=st.integers(0, 255), grouped=st.booleans())
@budget(max_examples=60, deadline=None)
def test_where_there_is_room_an_audit_of_one_set_finds_its_images(share, count, key, grouped):
    marks, entries = MarkSets((by_class(share) if grouped else plain(share),)), dataset(count)
    try:
        check_room(marks, membership(entries, marks))
    except SettingsError:
        assume(False)
    proposed, _ = drawn(marks, entries, key)
    (secret,) = marks.derive(bytes([key]) * 32, BEACON)
    excluded = set(positions(proposed[0]))
    assert all(secret.group_images(entries, 1, excluded))
    assert len(secret.probes(entries, LEAST_PROBES, excluded)) == LEAST_PROBES


@given(marks=SETS, count=st.integers(60, 300))
@budget(max_examples=20, deadline=None)
def test_the_first_set_does_not_know_of_the_others(marks, count):
    entries = dataset(count)
    alone, _ = drawn(MarkSets(tuple(marks)[:1]), entries)
    together, _ = drawn(marks, entries)
    for one, other in zip(alone[0], together[0], strict=True):
        assert one.wanted == other.wanted
        assert one.images[: len(other.images)] == other.images  # among several sets it keeps fewer next draws


def test_sets_have_secrets_of_their_own():
    one, two = MarkSets((by_class(0.1), by_class(0.1))).derive(KEY, BEACON)
    assert not np.array_equal(one.patterns, two.patterns)
    assert one.placement("a" * 64) != two.placement("a" * 64)
    pairs = [MarkSets((by_class(0.1),) * 2).derive(bytes([key]) * 32, BEACON) for key in range(120)]
    assert sum(np.array_equal(a.assignment, b.assignment) for a, b in pairs) < 8  # 1 of 120 by chance


def test_every_set_keeps_to_its_own_restriction():
    bound = by_class(0.1, size_classes=(0, 0, 1, 1, 1), forbidden=((2, 2),))
    for key in range(30):
        free, own = MarkSets((by_class(0.1), bound)).derive(bytes([key]) * 32, BEACON)
        assert set(own.assignment[:2]) == {0, 1}
        assert own.assignment[2] != 2
        assert sorted(free.assignment) == list(range(5))


class TestRoom:
    def refusal(self, *marks: MarkSettings, count: int = 500) -> str:
        sets = MarkSets(marks)
        with pytest.raises(SettingsError) as refused:
            check_room(sets, membership(dataset(count), sets))
        return refused.value.sentence

    def test_half_of_a_group_may_be_marked(self):
        sets = MarkSets((by_class(0.25), by_class(0.25)))
        check_room(sets, membership(dataset(500), sets))
        assert "would mark 51% of the images of the group ant" in self.refusal(by_class(0.25), by_class(0.26))

    def test_groups_of_different_kinds_overlap(self):
        assert "60% of the images of the group ant" in self.refusal(by_class(0.3), by_word(0.3))
        assert "would mark 70% of all images" in self.refusal(plain(0.4), plain(0.3))

    def test_sets_on_different_images_do_not_get_in_each_others_way(self):
        first = MarkSettings(groups=GROUPS[:4], share=0.5)
        eels = [Entry(f"eel-{i}", f"{i:064x}", f"eel {i % 4}", None) for i in range(400)]
        second = MarkSettings(groups=tuple(f"eel {i}" for i in range(4)), share=0.5)
        sets = MarkSets((first, second))
        check_room(sets, membership(dataset(500)[:] + eels, sets))

    def test_tiny_groups_are_refused(self):
        refusal = self.refusal(*[by_class(0.05)] * 4, count=20)
        assert "no clean image to compare with among the images of the group ant" in refusal

    def test_one_set_may_mark_more_than_half_but_not_everything(self):
        for share in (0.5, 0.9):
            sets = MarkSets((by_class(share),))
            check_room(sets, membership(dataset(500), sets))
        assert "These marks would leave no clean image" in self.refusal(by_class(1.0))
        assert "among all images" in self.refusal(plain(1.0))

    def test_a_class_of_one_image_is_refused(self):
        sets = MarkSets((by_class(0.2),))
        with pytest.raises(SettingsError, match="among the images of the group eel"):
            check_room(sets, Counter({(0,): 100, (1,): 100, (2,): 100, (3,): 100, (4,): 1}))

    def test_probes_need_clean_images_beside_one_of_every_group(self):
        assert "would leave 10 clean images, and an audit needs 15" in self.refusal(by_class(0.7), count=55)
        assert "would leave 6 clean images, and an audit needs 10" in self.refusal(plain(0.25), count=16)

    def test_images_of_no_group_serve_as_probes(self):
        sets = MarkSets((by_class(0.7),))
        others = [Entry(f"fly-{i}", f"{i:064x}", "fly", None) for i in range(10)]
        check_room(sets, membership(dataset(55) + others, sets))

    def test_every_image_is_counted_once(self):
        sets = MarkSets((by_class(0.1), by_word(0.1), plain(0.1)))
        cells = membership(dataset(503), sets)
        assert sum(cells.values()) == 503
        assert cells[0, 0, 0] == 21
