"""Exact copies are one choice of the key, near-duplicates are none; without either the choice is that of before."""

import hashlib
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from provenance.keying import Prf
from provenance.marks import MarkSecret, MarkSets, MarkSettings, SettingsError, candidates_of_sets, plan_marks
from provenance.marks.copies import (
    ACROSS_GROUPS,
    HAS_NEAR_DUPLICATE,
    NO_NEAR_DUPLICATE,
    TOO_MANY_COPIES,
    NearDuplicatesFileError,
    first_copies,
    write_near_duplicates,
)
from tests.provenance.marks.builders import Entry, Listed

KEY, BEACON = bytes(32), b"b" * 32
GROUPS = ("ant", "bee", "cow", "dog")


def named(content: object) -> str:
    return hashlib.sha256(str(content).encode()).hexdigest()


def dataset(pictures: int, copies: int = 1) -> Listed:
    """Every picture in so many files of one class, the files of a picture far from each other."""
    rows = [
        Entry(f"{GROUPS[i % 4]}/{turn}-{i:04d}.jpg", named(i), GROUPS[i % 4])
        for i in range(pictures)
        for turn in range(copies)
    ]
    return Listed(sorted(rows))


def by_class(share: float = 0.2, **changes) -> MarkSettings:
    return MarkSettings(groups=GROUPS, share=share, copies="alike", **changes)


def drawn(entries: Listed, *marks: MarkSettings, key: bytes = KEY):
    sets = MarkSets(marks)
    counts = [[group.images for group in plan_marks(entries, mark).groups] for mark in sets]
    return candidates_of_sets(sets.derive(key, BEACON), entries, counts)


def contents(sets) -> list[list[str]]:
    return [[image.sha256 for image in group.images] for groups in sets for group in groups]


@given(st.lists(st.integers(0, 5), max_size=40))
@budget(max_examples=40)
def test_the_first_of_equal_files_is_found(numbers):
    entries = [Entry(str(i), named(number)) for i, number in enumerate(numbers)]
    assert first_copies(entries).tolist() == [numbers.index(number) for number in numbers]


ROWS = st.lists(st.tuples(st.integers(0, 60), st.sampled_from([*GROUPS, None])), min_size=12, max_size=160)


@given(rows=ROWS, share=st.floats(0.01, 0.5), key=st.binary(min_size=32, max_size=32), plain=st.booleans())
@budget(max_examples=60, deadline=None)
def test_a_picture_is_proposed_with_all_its_files_or_not_at_all(rows, share, key, plain):
    """Whatever copies there are: in one group or in several, in two sets or in none."""
    entries = Listed(Entry(f"{i:04d}.jpg", named(number), label) for i, (number, label) in enumerate(rows))
    other = MarkSettings(association="plain", share=share, copies="alike")
    sets = drawn(entries, by_class(share), *([other] if plain else []), key=key)
    files, taken = Counter(entry.sha256 for entry in entries), set()
    for groups in sets:
        proposed = defaultdict(list)
        for group in groups:
            for image in group.images:
                assert (image.path, image.sha256) == entries[image.position][:2]
                proposed[image.sha256].append((image.position, group.group))
        for sha256, found in proposed.items():
            assert len({position for position, _ in found}) == len(found) == files[sha256]
            assert len({group for _, group in found}) == 1
        assert not taken & set(proposed)
        taken |= set(proposed)


def test_files_of_one_picture_follow_on_each_other():
    for group in contents(drawn(dataset(200, copies=3), by_class())):
        assert all(group[i] == group[i + 1] == group[i + 2] for i in range(0, len(group), 3))


def test_candidates_leave_as_many_files_free_as_without_copies():
    twice, once = dataset(200, copies=2), dataset(400)
    (doubled,), (single,) = drawn(twice, by_class()), drawn(once, by_class())
    for two, one in zip(doubled, single, strict=True):
        assert two.wanted == one.wanted == 20
        assert len(one.images) - 1 <= len(two.images) <= len(one.images)


@given(key=st.binary(min_size=32, max_size=32), share=st.floats(0.01, 0.5))
@budget(max_examples=20, deadline=None)
def test_without_copies_the_rule_changes_nothing(key, share):
    entries = dataset(160)
    sets = (by_class(share), MarkSettings(association="plain", share=share, copies="alike"))
    before = [mark.replace(copies="") for mark in sets]
    ruled, free = drawn(entries, *sets, key=key), drawn(entries, *before, key=key)
    assert ruled == free


def test_releases_of_before_keep_their_own_choice_of_images():
    """Every file by its own rank, as the derivation has it, though some are copies."""
    entries, settings = dataset(100, copies=2), by_class().replace(copies="")
    rank = Prf(KEY, BEACON, "choice")
    (groups,) = drawn(entries, settings)
    for group in groups:
        own = [entry for entry in entries if entry.label == GROUPS[group.group]]
        ranked = sorted(own, key=lambda entry: rank.digest(entry.sha256, entry.path))
        assert [image.path for image in group.images] == [entry.path for entry in ranked[: len(group.images)]]


def test_every_picture_has_the_same_chance():
    """Whether it lies in one file or in three."""
    entries = Listed(
        [Entry(f"a/{turn}-{i:03d}", named(i), "ant") for i in range(80) for turn in range(1 if i % 2 else 3)]
    )
    mark = MarkSettings(association="plain", share=0.05, copies="alike")
    often = Counter()
    for number in range(200):
        (groups,) = drawn(entries, mark, key=number.to_bytes(32, "big"))
        chosen = dict.fromkeys(image.sha256 for image in groups[0].images)
        often.update(list(chosen)[:4])
    once, thrice = (sum(often[named(i)] for i in range(first, 80, 2)) for first in (1, 0))
    assert once + thrice == 800
    assert abs(once - thrice) < 4 * np.sqrt(800)


def test_why_a_copy_is_no_candidate_is_counted():
    rows = [Entry(f"{i:03d}.jpg", named(i), GROUPS[i % 4]) for i in range(80)]
    rows += [Entry("torn-1.jpg", named("torn"), "ant"), Entry("torn-2.jpg", named("torn"), "bee")]
    rows += [Entry("loose-1.jpg", named("loose"), "cow"), Entry("loose-2.jpg", named("loose"), None)]
    rows += [Entry(f"logo-{i}.jpg", named("logo"), "dog") for i in range(9)]
    (groups,) = drawn(Listed(sorted(rows)), by_class())
    assert [dict(group.unfit) for group in groups] == [
        {ACROSS_GROUPS: 1},
        {ACROSS_GROUPS: 1},
        {ACROSS_GROUPS: 1},
        {TOO_MANY_COPIES: 9},
    ]
    assert not {named(name) for name in ("torn", "loose", "logo")} & {
        image.sha256 for group in groups for image in group.images
    }


def test_a_picture_in_many_files_may_be_one_of_many_marks():
    rows = [Entry(f"{i:04d}.jpg", named(i), "ant") for i in range(800)]
    rows += [Entry(f"logo-{i}.jpg", named("logo"), "ant") for i in range(9)]
    (groups,) = drawn(Listed(rows), MarkSettings(association="plain", share=0.2, copies="alike"))
    assert not groups[0].unfit


class TestNearDuplicates:
    @pytest.fixture
    def entries(self, tmp_path):
        return Listed(dataset(200), tmp_path / "manifest")

    def left_out(self, entries: Listed, positions: list[int]) -> str:
        group_of = np.full(len(entries), NO_NEAR_DUPLICATE, dtype=np.int32)
        group_of[positions] = np.arange(len(positions)) // 2
        return write_near_duplicates(entries.folder.parent, group_of)

    def test_they_are_no_candidates(self, entries):
        digest = self.left_out(entries, list(range(60)))
        (groups,) = drawn(entries, by_class(0.4, near_duplicates=digest))
        assert min(image.position for group in groups for image in group.images) >= 60
        assert sum(group.unfit.get(HAS_NEAR_DUPLICATE, 0) for group in groups) == 60

    def test_others_keep_their_order(self, entries):
        digest = self.left_out(entries, [0, 1, 50, 51])
        (without,), (whole,) = drawn(entries, by_class(near_duplicates=digest)), drawn(entries, by_class())
        for one, other in zip(without, whole, strict=True):
            kept = [image for image in other.images if image.position not in (0, 1, 50, 51)]
            assert list(one.images)[: len(kept)] == kept

    def test_a_file_that_is_gone_or_altered_is_refused(self, entries):
        digest = self.left_out(entries, [0, 1])
        path = entries.folder.parent / "near_duplicates" / f"{digest}.npy"
        path.write_bytes(path.read_bytes()[:-1] + b"\1")
        with pytest.raises(NearDuplicatesFileError, match="altered"):
            drawn(entries, by_class(near_duplicates=digest))
        path.unlink()
        with pytest.raises(NearDuplicatesFileError, match="gone"):
            drawn(entries, by_class(near_duplicates=digest))

    def test_those_of_another_version_are_refused(self, entries, tmp_path):
        digest = self.left_out(entries, [0, 1])
        with pytest.raises(NearDuplicatesFileError, match="another version"):
            drawn(Listed(entries[:-1], tmp_path / "manifest"), by_class(near_duplicates=digest))


class TestSettings:
    def test_settings_of_before_have_the_same_json(self):
        assert not {"copies", "near_duplicates"} & set(MarkSettings(groups=GROUPS).to_dict())

    def test_the_choice_is_part_of_what_is_committed(self):
        settings = by_class(near_duplicates="a" * 64)
        assert settings.to_dict()["copies"] == "alike"
        assert settings.to_dict()["near_duplicates"] == "a" * 64
        assert MarkSettings.from_json(settings.to_json()) == settings

    @pytest.mark.parametrize("changes", [{"copies": "unlike"}, {"near_duplicates": "a"}, {"near_duplicates": None}])
    def test_nonsense_is_refused(self, changes):
        with pytest.raises(SettingsError):
            MarkSettings(groups=GROUPS, **changes)

    def test_all_sets_of_a_release_choose_alike(self):
        with pytest.raises(SettingsError, match="same way"):
            MarkSets((by_class(), MarkSettings(association="plain")))

    def test_places_of_copies_are_the_same(self):
        secret = MarkSecret.derive(KEY, BEACON, by_class())
        assert secret.placement(named(1)) == secret.placement(named(1)) != secret.placement(named(2))
