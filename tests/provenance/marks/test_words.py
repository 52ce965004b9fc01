"""Words that are suggested as groups: what they are, and that their numbers are those that a release counts."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from provenance.marks.captions import folded, terms
from provenance.marks.groups import plan_groups
from provenance.marks.words import LEAST_IMAGES, TermTable, WordsError, choose, says_something, suggest_words
from tests.provenance.marks.builders import captioned

ANIMALS = ("horse", "zebra", "giraffe", "elephant", "sheep")


def suggested(captions: list[str | None], count: int = 4):
    return suggest_words(lambda: captions, count)


CAPTIONS = st.lists(
    st.one_of(
        st.none(),
        st.lists(
            st.sampled_from(
                ["cat", "black", "Hot", "dog", "dogs", "a", "with", "CAT.", "7", "é", "l'été", "猫", "一只猫"]
            ),
            max_size=5,
        ).map(" ".join),
    ),
    max_size=60,
)


@settings(max_examples=60)
@given(CAPTIONS, st.integers(4, 8))
@example(["hot dog", "hot", "dog"] * 5, 4)
@example(["red brick wall"] * 5 + ["red brick"] * 5 + ["brick wall"] * 6, 4)
def test_the_numbers_are_those_that_a_release_counts(captions, count):
    found = suggested(captions, count)
    entries = [captioned(caption) for caption in captions]
    names = [word.word for word in found.words]
    plan = plan_groups(entries, "word", names, 0.1)
    assert [word.alone for word in found.words] == [group.images for group in plan.groups]
    assert (found.ambiguous, found.outside) == (plan.ambiguous, plan.outside)
    for word in found.words:
        assert word.images == plan_groups(entries, "word", [word.word], 0.1).groups[0].images
        assert word.images >= word.alone >= LEAST_IMAGES
    assert found.captions == sum(bool(caption) for caption in captions)
    assert len(names) == len(set(names)) <= count
    assert names == [word.word for word in sorted(found.words, key=lambda word: (-word.alone, word.word))]


@settings(max_examples=20)
@given(CAPTIONS)
def test_the_same_captions_give_the_same_words(captions):
    assert suggested(captions) == suggested(list(captions))


def test_it_finds_the_subjects_of_captions():
    rng = np.random.default_rng(1)
    places = ("grass", "hill", "road", "water", "tree", "barn", "fence", "house", "truck")
    captions = [
        f"A photo of a {ANIMALS[rng.integers(5)]} standing near the {places[rng.integers(9)]}, taken by camera {i}"
        for i in range(1000)
    ]
    found = suggested(captions, 5)
    assert {word.word for word in found.words} == set(ANIMALS)
    assert found.ambiguous == found.outside == 0
    assert all(word.alone == word.images for word in found.words)


def test_groups_are_disjoint_rather_than_large():
    """ "rider" is in more captions than any horse of one colour, but never without one."""
    captions = [f"{colour} horse{' with rider' if i % 2 else ''}" for colour in ANIMALS for i in range(20)]
    assert "rider" not in {word.word for word in suggested(captions, 5).words}


def test_a_word_its_plural_and_its_phrases_make_one_group():
    captions = [f"{animal} {i}" for animal in ANIMALS for i in range(30)]
    captions += ["dog sleeps"] * 30 + ["dogs sleep"] * 30 + ["hot dog"] * 30
    words = [word.word for word in suggested(captions, 12).words]
    assert sum(word in ("dog", "dogs", "hot dog", "dog sleeps", "hot") for word in words) <= 2
    assert not {"dog", "dogs"} <= set(words)


@pytest.mark.parametrize(
    ("captions", "words"),
    [
        (["un chat noir", "le chat", "une voiture", "der Hund", "die Katze"], "chat voiture hund katze"),
        (["हिन्दी किताब", "हिन्दी भाषा", "नीला घर", "लाल घर", "फूल", "नदी"], "हिन्दी घर फूल नदी"),
        (["一只猫", "一只狗", "一只鸟", "一只马", "大猫"], "猫 狗 鸟 马"),
        (["新しいカメラ", "古いカメラ", "小さなテレビ", "あのテレビ", "その犬", "その猫"], "カメラ テレビ 犬 猫"),
        (["검은 고양이", "작은 고양이", "하얀 집", "큰 집", "새", "개울"], "고양이 집 새 개울"),
    ],
)
def test_captions_of_many_scripts(captions, words):
    found = [word.word for word in suggested(captions * 10, len(words.split())).words]
    assert sorted(found) == sorted(words.split())


@pytest.mark.parametrize("captions", [[], [None] * 20, ["the of and"] * 20, ["12 345"] * 20, ["แมวสีดำ"] * 20])
def test_where_nothing_can_be_suggested_there_is_no_word(captions):
    assert suggested(captions).words == ()


@pytest.mark.parametrize("term", ["a cat", "photo", "12", "cat 7", "x", "x" * 61, "на x"])
def test_what_says_nothing(term):
    assert not says_something(term)


@pytest.mark.parametrize("count", [3, 33])
def test_a_number_of_words_that_is_refused(count):
    with pytest.raises(WordsError, match="4 to 32"):
        suggested(["cat"], count)


@given(st.lists(st.lists(st.integers(0, 30), max_size=6).map(set), max_size=80), st.integers(2, 12))
def test_the_table_errs_by_no_more_than_it_says(documents, size):
    table = TermTable(size)
    truth: Counter[str] = Counter()
    for document in documents:
        table.add(map(str, document))
        truth.update(map(str, document))
    kept = {term: table._counts.get(term, 0) for term in truth}
    assert all(count <= truth[term] <= count + table.error for term, count in kept.items())
    assert table.error <= 2 * sum(truth.values()) / size
    assert len(table._counts) <= size


def test_a_small_table_still_finds_the_large_groups(monkeypatch):
    monkeypatch.setattr("provenance.marks.words.TABLE", 200)
    rng = np.random.default_rng(2)
    captions = [f"{ANIMALS[i % 5]} number{rng.integers(10**9)} seen{rng.integers(10**9)}" for i in range(3000)]
    found = suggested(captions, 5)
    assert {word.word for word in found.words} == set(ANIMALS)
    assert 0 < found.table_error < 200


def test_progress_is_told_and_may_stop_the_work():
    class EnoughError(Exception):
        pass

    told: list[tuple[int, int, str]] = []

    def progress(done: int, total: int, phase: str) -> None:
        told.append((done, total, phase))
        if phase == "comparing words":
            raise EnoughError

    with pytest.raises(EnoughError):
        suggest_words(lambda: ["cat"] * 5000, progress=progress)
    assert told == [
        (0, 0, "counting words"),
        (2000, 0, "counting words"),
        (4000, 0, "counting words"),
        (5000, 15000, "comparing words"),
    ]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 4))
def test_the_choice_is_hardly_worse_than_the_best_there_is(seed, count):
    """Against all choices of `count` out of seven: at least nine tenths of the best mean logarithm."""
    from itertools import combinations

    rng = np.random.default_rng(seed)
    held = rng.random((7, 512)) < rng.uniform(0.05, 0.4, (7, 1))
    marks = np.packbits(held, axis=1).view(np.uint64)

    def worth(rows) -> float:
        alone = held[list(rows)] & (held[list(rows)].sum(axis=0) == 1)
        return float(np.log(alone.sum(axis=1) + 1e-9).mean())

    best = max(worth(rows) for rows in combinations(range(7), count))
    chosen = choose([f"term {i}" for i in range(7)], marks, count)
    assert len(chosen) == count
    assert worth(chosen) >= 0.9 * best


def test_terms_are_counted_once_a_caption():
    table = TermTable(100)
    table.add(set(terms(folded("Cat, cat and a CAT"))))
    assert table.most_frequent(9, lambda term, count: term == "cat" and count == 1) == ["cat"]
