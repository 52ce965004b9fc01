"""Settings of a withheld set, and its place among the mark sets of a release."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.marks import MarkSets, MarkSettings, SettingsError, WithheldSettings

DIGEST = "ab" * 32
STRUCK = MarkSettings(groups=("ant", "bee", "cow", "dog"))
WITHHELD = WithheldSettings(DIGEST)


@given(size=st.integers(2, 16), part=st.floats(0.001, 1))
def test_settings_survive_their_json(size, part):
    settings = WithheldSettings(DIGEST, size, part / size)
    assert WithheldSettings.from_json(settings.to_json()) == settings
    assert MarkSets.from_json(MarkSets((settings,)).to_json()).withheld == settings


def test_their_json_is_this():
    assert (
        WITHHELD.to_json() == '{"block_size":4,"blocking":"' + DIGEST + '","kind":"withheld","share":0.05}'
    )  # a commitment rests on it
    both = MarkSets((STRUCK, WITHHELD)).to_dict()
    assert both == {"sets": [STRUCK.to_dict(), WITHHELD.to_dict()]}
    assert "kind" not in STRUCK.to_dict()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"blocking": ""}, "by the digest of their file"),
        ({"blocking": "AB" * 32}, "by the digest of their file"),
        ({"block_size": 1}, "between 2 and 16"),
        ({"block_size": 17}, "between 2 and 16"),
        ({"block_size": 4.0}, "between 2 and 16"),
        ({"block_size": True}, "between 2 and 16"),
        ({"share": 0}, "at most at 1/4"),
        ({"share": 0.26}, "at most at 1/4"),
        ({"share": float("nan")}, "must be a number"),
        ({"share": "0.05"}, "must be a number"),
        ({"kind": "visions"}, "no kind of mark set 'visions'"),
        ({"opacity": 0.5}, "Unknown setting of a withheld set: opacity"),
    ],
)
def test_what_cannot_be_is_refused(fields, sentence):
    with pytest.raises(SettingsError, match=sentence):
        MarkSets.from_json(WITHHELD.to_dict() | fields)


def test_settings_name_their_blocks():
    with pytest.raises(SettingsError, match="Name the blocks"):
        WithheldSettings.from_json({"kind": "withheld", "share": 0.05})
    with pytest.raises(SettingsError, match="changes no pixel"):
        WithheldSettings.from_json({"blocking": DIGEST})


class TestBlocksUsed:
    def test_as_many_as_bring_the_share_home_on_average(self):
        assert WITHHELD.blocks_used(10_000, 10_000, 10_000) == 500
        assert WITHHELD.blocks_used(10_000, 5_000, 10_000) == 250  # two images stay home of every block
        assert WITHHELD.blocks_used(1_000_000, 999_996, 999_996) == 50_000

    def test_no_more_than_there_are_and_one_at_least(self):
        assert WITHHELD.blocks_used(10_000, 400, 400) == 100
        assert WITHHELD.blocks_used(12, 12, 12) == 1
        assert WITHHELD.blocks_used(12, 0, 0) == 0

    @given(st.integers(4, 10**6), st.integers(2, 16), st.floats(0.01, 1))
    def test_the_share_is_never_overstepped_on_average(self, images, size, part):
        settings = WithheldSettings(DIGEST, size, part / size)
        blocks = images // size
        used = settings.blocks_used(images, blocks * size, blocks * size)
        assert used <= blocks
        assert used <= max(settings.share * images + 1e-6, 1)


class TestAmongOthers:
    def test_it_is_told_from_struck_sets(self):
        marks = MarkSets((STRUCK, STRUCK, WITHHELD))
        assert marks.struck == (STRUCK, STRUCK)
        assert marks.withheld == WITHHELD
        assert len(marks) == 3
        assert MarkSets((WITHHELD,)).struck == ()
        assert MarkSets((STRUCK,)).withheld is None

    def test_one_at_most_and_behind_the_others(self):
        with pytest.raises(SettingsError, match="one set of images at most"):
            MarkSets((WITHHELD, WITHHELD))
        with pytest.raises(SettingsError, match="stands behind"):
            MarkSets((WITHHELD, STRUCK))
        with pytest.raises(SettingsError, match="between 1 and 4"):
            MarkSets((STRUCK,) * 4 + (WITHHELD,))

    def test_what_holds_for_struck_sets_leaves_it_alone(self):
        marks = MarkSets((STRUCK, WITHHELD)).replace_in_struck(spares="many", copies="alike")
        assert marks.struck[0].spares == "many"
        assert marks.withheld == WITHHELD
        marks.check_reach(0.05)

    def test_struck_sets_keep_their_secrets_beside_it(self):
        key, beacon = bytes(32), b"b" * 32
        (alone,) = MarkSets((STRUCK,)).derive(key, beacon)
        (beside,) = MarkSets((STRUCK, WITHHELD)).derive(key, beacon)
        assert (alone.patterns == beside.patterns).all()
        assert alone.assignment.tolist() == beside.assignment.tolist()

    def test_its_smallest_p_is_one_over_all_choices(self):
        assert WITHHELD.smallest_p(5) == 4**-5
        assert WITHHELD.smallest_p(10**6) == 0.0
