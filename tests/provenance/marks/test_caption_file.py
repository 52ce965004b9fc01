"""Words counted in the file of folded captions: the same groups as the rules for names give, image by image."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.marks import caption_file
from provenance.marks.caption_file import groups_of_captions, write_captions
from provenance.marks.captions import folded
from provenance.marks.groups import Grouping
from tests.provenance.marks.builders import captioned

CHARACTERS = st.sampled_from("abAB1ßé\u0301\u094d_-,. \t\n\u00a0\ud800猫犬東カーナのไท한글क्ि")
CAPTIONS = st.lists(st.none() | st.text(CHARACTERS, max_size=20), max_size=12)
WORDS = st.lists(
    st.text(CHARACTERS, min_size=1, max_size=4).map(str.strip).filter(folded), max_size=5, unique_by=folded
)


def by_the_rules(captions, words) -> list[int]:
    grouping = Grouping("word", words)
    return [grouping.group_of(captioned(caption)) for caption in captions]


@given(captions=CAPTIONS, words=WORDS, piece=st.sampled_from([1, 17, 1 << 20]))
def test_every_image_gets_the_group_that_the_rules_give_it(tmp_path_factory, captions, words, piece):
    path = tmp_path_factory.mktemp("captions") / "captions.txt"
    write_captions(path, captions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(caption_file, "PIECE", piece)
        assert groups_of_captions(path, words).tolist() == by_the_rules(captions, words)


@pytest.mark.parametrize(
    ("words", "caption", "group"),
    [
        (("cat", "dog"), "A Cat.", 0),
        (("cat", "dog"), "cattle and a bulldog", Grouping.NONE),
        (("cat", "dog"), "a dog, a cat", Grouping.AMBIGUOUS),
        (("cat", "black cat"), "a black cat", 1),  # the longest that fits, and no other
        (("black cat", "cat food"), "black cat food", 0),  # the first of two that overlap
        (("cat", "cat猫"), "a cat猫", 1),
        (("cafe", "dog"), "a cafe\u0301", Grouping.NONE),
        (("猫", "犬"), "黒猫です", 0),
        (("größe", "höhe"), "die Größe", 0),
        (("cat", "dog"), None, Grouping.NONE),
    ],
)
def test_edges_and_overlaps(tmp_path, words, caption, group):
    write_captions(tmp_path / "captions.txt", [caption])
    assert groups_of_captions(tmp_path / "captions.txt", words).tolist() == [group]
    assert by_the_rules([caption], words) == [group]


def test_a_file_that_was_cut_short_has_as_many_groups_as_whole_lines(tmp_path):
    path = tmp_path / "captions.txt"
    write_captions(path, ["a cat", "a dog", "東 dog"])
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert len(groups_of_captions(path, ("cat", "dog"))) == whole[:length].count(b"\n")


def test_nothing_is_left_of_a_file_that_was_not_written_to_its_end(tmp_path):
    def captions():
        yield "a cat"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_captions(tmp_path / "captions.txt", captions())
    assert not (tmp_path / "captions.txt").exists()
