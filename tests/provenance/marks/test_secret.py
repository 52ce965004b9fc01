import hashlib
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from provenance.marks import (
    Grouping,
    MarkSecret,
    MarkSets,
    MarkSettings,
    NotEnoughImagesError,
    SettingsError,
    plan_groups,
)
from provenance.marks.groups import plan_from_counts
from tests.provenance.marks.builders import Entry

BEACON = b"b" * 32
GROUPS = ("ant", "bee", "cow", "dog", "eel")


def dataset(count=600):
    return [
        Entry(f"{GROUPS[i % 5]}/{i}.jpg", hashlib.sha256(str(i).encode()).hexdigest(), GROUPS[i % 5])
        for i in range(count)
    ]


def secret(key=1, **changes):
    return MarkSecret.derive(bytes([key]) * 32, BEACON, MarkSettings(groups=GROUPS, **changes))


def counts(entries, settings):
    return [g.images for g in plan_groups(entries, settings.group_by, settings.groups, settings.share).groups]


def chosen_paths(one, entries):
    groups = one.candidates(entries, counts(entries, one.settings))
    return [[c.path for c in group.images] for group in groups]


def test_the_same_key_gives_the_same_secret():
    one, again = secret(), secret()
    assert np.array_equal(one.patterns, again.patterns)
    assert np.array_equal(one.assignment, again.assignment)
    assert one.placement("ab") == again.placement("ab")
    assert chosen_paths(one, dataset()) == chosen_paths(again, dataset())


def test_assignments_are_uniform_over_keys():
    firsts = Counter(int(secret(key).assignment[0]) for key in range(250))
    assert sum((firsts[g] - 50) ** 2 / 50 for g in range(5)) < 23.5  # the 0.9999 quantile at 4 degrees of freedom


def test_assignment_and_its_inverse_agree():
    one = secret()
    for group in range(5):
        assert one.assignment[one.pattern_of_group[group]] == group


def test_the_order_of_the_manifest_does_not_matter():
    entries = dataset()
    shuffled = entries.copy()
    random.Random(3).shuffle(shuffled)
    assert chosen_paths(secret(), entries) == chosen_paths(secret(), shuffled)


def test_each_group_gets_its_share_and_spares_behind():
    entries = dataset()
    for group in secret(share=0.25).candidates(entries, [120] * 5):
        assert group.wanted == 30
        assert len(group.images) == 30 + 7 + 16
        assert all(entries[c.position].label == GROUPS[group.group] for c in group.images)


def test_different_keys_choose_different_images():
    first, second = (chosen_paths(secret(key), dataset())[0][:24] for key in (1, 2))
    assert len(set(first) & set(second)) < 15


@given(st.integers(1, 255), st.floats(0.01, 0.6))
@budget(max_examples=25, deadline=None)
def test_probes_are_never_candidates(key, share):
    entries = dataset(300)
    one = secret(key, share=share)
    candidates = {c.position for g in one.candidates(entries, [60] * 5) for c in g.images}
    probes = one.probes(entries, 40, candidates)
    assert len(set(probes)) == 40
    assert not candidates & set(probes)
    clean = one.group_images(entries, 5, candidates)
    assert all(len(group) == 5 for group in clean)
    assert not candidates & {i for group in clean for i in group}


@pytest.mark.parametrize("probes", [10, 40, 95])
def test_probes_leave_every_group_an_image_to_compare_with(probes):
    entries = dataset(100)
    for key in range(1, 31):
        drawn, groups = secret(key).clean_images(entries, probes, 3, set())
        assert len(set(drawn)) == probes
        assert all(groups)
        assert not set(drawn) & {image for group in groups for image in group}
    assert drawn[:5] != secret(1).clean_images(entries, probes, 3, set())[0][:5]
    with pytest.raises(NotEnoughImagesError, match="Only 95"):
        secret().clean_images(entries, 96, 3, set())


def test_probes_stay_the_first_of_the_key_where_every_group_has_images_left():
    entries, one = dataset(), secret(4)
    probes, groups = one.clean_images(entries, 40, 5, set())
    assert probes == one.probes(entries, 40, set())
    assert groups == one.group_images(entries, 5, set(probes))


def test_too_few_probes_are_said_so():
    with pytest.raises(NotEnoughImagesError, match="Only 100"):
        secret().probes(dataset(100), 101, set())
    with pytest.raises(NotEnoughImagesError, match="ant"):
        secret().group_images(dataset(100), 3, set(range(0, 100, 5)))


def test_a_secret_never_shows_itself():
    text = repr(secret())
    assert "patterns" not in text
    assert "assignment" not in text


def test_the_plan_counts_and_warns():
    plan = plan_groups(dataset(2000), "class", (*GROUPS[:4], "fly"), 0.1)
    assert next((g.name, g.images, g.marked) for g in plan.groups) == ("ant", 400, 40)
    assert plan.outside == 400
    assert plan.marked == 160
    assert "Fewer than 50" in plan.warning
    assert not plan_groups(dataset(2500), "class", GROUPS, 0.1).warning


@pytest.mark.parametrize(
    ("images", "share", "advice"),
    [
        (200, 0.1, "raise the share, or choose larger groups."),
        (60, 0.1, "choose larger groups."),
        (45, 1.0, "choose larger groups."),
    ],
)
def test_the_plan_advises_a_larger_share_only_where_that_helps(images, share, advice):
    warning = plan_from_counts(GROUPS, [images] * 5, share).warning
    assert warning.endswith(f"probably find nothing: {advice}")
    plain = plan_from_counts(("all images",), [images], share).warning
    assert plain.endswith("raise the share." if images >= 100 else "mark a larger version.")


@pytest.mark.parametrize(
    ("caption", "group"),
    [
        ("A Cat on a mat.", 0),
        ("cattle", Grouping.NONE),
        ("a cat and a dog", Grouping.AMBIGUOUS),
        ("a hot  dog", 2),
        ("eine Straße", 3),
        ("EINE STRASSE", 3),
        ("(dog)", 1),
        ("", Grouping.NONE),
        (None, Grouping.NONE),
    ],
)
def test_words_are_found_whole_in_any_case(caption, group):
    grouping = Grouping("word", ("cat", "dog", "hot dog", "straße"))
    assert grouping.group_of(Entry("p", "s", None, caption)) == group


def test_no_label_means_no_group():
    assert Grouping("class", GROUPS).group_of(Entry("p", "s")) == Grouping.NONE


def test_mark_sets_of_one_key_share_nothing():
    first, second = MarkSets((MarkSettings(groups=GROUPS), MarkSettings(groups=GROUPS))).derive(b"7" * 32, BEACON)
    assert first.patterns.tobytes() != second.patterns.tobytes()
    assert first.placement("aa") != second.placement("aa")
    alone = MarkSecret.derive(b"7" * 32, BEACON, MarkSettings(groups=GROUPS))
    assert np.array_equal(alone.patterns, first.patterns)
    assert np.array_equal(alone.assignment, first.assignment)


def test_the_assignment_is_uniform_among_those_that_the_settings_allow():
    groups = ("a", "b", "c", "d", "e", "f")
    settings = MarkSettings(groups=groups, size_classes=(0, 0, 0, 1, 1, 1), forbidden=((0, 0), (3, 4)))
    drawn = Counter(
        tuple(MarkSecret.derive(number.to_bytes(32, "big"), BEACON, settings).assignment) for number in range(800)
    )
    possible = settings.restriction.possible()
    assert possible == 16
    assert settings.smallest_p == 1 / 16
    assert len(drawn) == possible
    assert max(drawn.values()) < 2 * min(drawn.values())
    assert all(one[0] != 0 and one[3] != 4 and set(one[:3]) == {0, 1, 2} for one in drawn)


def test_settings_of_several_sets_survive_json():
    sets = MarkSets((MarkSettings(groups=GROUPS), MarkSettings(association="plain", share=0.02)))
    assert MarkSets.from_json(sets.to_json()) == sets
    assert MarkSets.from_json(MarkSettings(groups=GROUPS).to_json()).to_dict() == MarkSettings(groups=GROUPS).to_dict()
    with pytest.raises(SettingsError, match="nothing beside"):
        MarkSets.from_json({"sets": [], "groups": []})
