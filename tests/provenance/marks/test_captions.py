"""Names in captions of every script: whole words where there are words, and the same word however it is written."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from provenance.marks.captions import Names, folded, letters, terms
from provenance.marks.groups import Grouping
from tests.provenance.marks.builders import captioned

TEXTS = st.text(st.sampled_from("abAB1ßé\u0301\u094d_-,. \t\n\u00a0猫犬東カーナのไท한글क्ि"), max_size=40)


def finds(name: str, caption: str) -> bool:
    return Grouping("word", (name,)).group_of(captioned(caption)) == 0


@pytest.mark.parametrize(
    ("name", "caption", "found"),
    [
        ("cat", "A Cat.", True),
        ("cat", "cattle", False),
        ("hot dog", "a HOT \n dog!", True),
        ("Straße", "in der STRASSE", True),
        ("café", "a cafe\u0301 in Paris", True),  # composed and decomposed
        ("cafe", "a cafe\u0301 in Paris", False),  # an accent belongs to the word
        ("हिन्द", "हिन्दी", False),  # and so does a vowel sign
        ("हिन्दी", "एक हिन्दी किताब", True),
        ("猫", "一只猫在睡觉", True),  # no spaces between words: found anywhere
        ("カー", "新しいカーです", True),
        ("แมว", "รูปแมวสีดำ", True),
        ("cat", "猫cat猫", True),
        ("cat", "猫cats猫", False),
        ("c++", "code in C++.", True),
    ],
)
def test_a_name_is_found_where_a_reader_would_find_it(name, caption, found):
    assert finds(name, caption) is found


@given(TEXTS)
@example("a cat's  Hat")
@example("猫カーテン ab한글")
def test_every_term_of_a_caption_is_found_in_it(caption):
    text = folded(caption)
    for term in terms(text):
        assert term in Names([term]).found_in(text), term
        assert finds(term, caption), term


@given(TEXTS, TEXTS)
def test_a_spaced_word_is_a_term_exactly_where_it_is_found(first, second):
    """Else the numbers that suggest words would not be those that a release counts."""
    here, there = set(terms(folded(first))), set(terms(folded(second)))
    for term in here:
        if not re.search("[カーナ]", term):  # of Katakana whole runs alone are terms
            assert finds(term, second) == (term in there), term


@given(st.lists(TEXTS.map(folded).filter(bool), min_size=1, max_size=6, unique=True), TEXTS)
@example(["ab a", "a"], "bab a")
@example(["a b", "a"], "a bb")
def test_several_names_are_found_as_one_pattern_would_find_them(names, caption):
    """The plain way to write it, too slow for millions of captions."""

    def alternative(name: str) -> str:
        edges = [rf"(?<!{letters()})" if re.match(letters(), name) else "", rf"(?!{letters()})"]
        return edges[0] + re.escape(name) + (edges[1] if re.match(letters(), name[-1]) else "")

    longest_first = sorted(names, key=lambda name: (-len(name), name))
    text = folded(caption)
    assert list(Names(names).found_in(text)) == re.findall("|".join(map(alternative, longest_first)), text)


@given(TEXTS)
def test_folding_says_nothing_new_the_second_time(text):
    assert folded(folded(text)) == folded(text)
    assert folded(text) == folded(f" {text.swapcase()}\n")
