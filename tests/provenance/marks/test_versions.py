"""Settings of a set of versions, and what a key decides about them."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from provenance.keying import Prf
from provenance.marks import MarkSets, MarkSettings, SettingsError, VersionSecret, VersionsSettings, WithheldSettings
from provenance.marks.overlay import FaintFamily
from provenance.marks.reach import check_versions
from provenance.marks.versions import two_patterns

KEY, BEACON = bytes(range(32)), b"b" * 32
STRUCK = MarkSettings(groups=("ant", "bee", "cow", "dog"))
VERSIONS = VersionsSettings()


@dataclass(frozen=True)
class Listed:
    path: str
    sha256: str
    label: str | None = None
    caption: str | None = None


class Listing(list):
    """What candidates are drawn from: entries in order."""

    folder = Path()

    def entry(self, index: int) -> Listed:
        return self[index]


def sha(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


def listing(pictures: int, copies: int = 0) -> Listing:
    """So many pictures; the first few have a copy at the end."""
    numbers = [*range(pictures), *range(copies)]
    return Listing(Listed(f"{at:04d}.jpg", sha(number)) for at, number in enumerate(numbers))


def secret(number: int = 0, **changes: float) -> VersionSecret:
    return VersionSecret.derive(KEY, BEACON, VersionsSettings(**changes), number)


class TestSettings:
    @given(share=st.floats(0.001, 1), decibels=st.floats(30, 44))
    def test_they_survive_their_json(self, share, decibels):
        settings = VersionsSettings(share, decibels)
        assert VersionsSettings.from_json(settings.to_json()) == settings
        assert MarkSets.from_json(MarkSets((settings,)).to_json()).versions == settings

    def test_their_json_is_this(self):
        assert VERSIONS.to_json() == '{"decibels":34.0,"kind":"versions","share":1.0}'  # a commitment rests on it
        assert MarkSets((STRUCK, VERSIONS)).to_dict() == {"sets": [STRUCK.to_dict(), VERSIONS.to_dict()]}

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"share": 0}, "above 0 and at most at 1"),
            ({"share": 1.1}, "above 0 and at most at 1"),
            ({"share": "1"}, "must be a number"),
            ({"decibels": 29.9}, "30 to 44 dB"),
            ({"decibels": 45}, "30 to 44 dB"),
            ({"decibels": float("nan")}, "must be a number"),
            ({"opacity": 0.5}, "Unknown setting of a set of versions: opacity"),
        ],
    )
    def test_what_cannot_be_is_refused(self, fields, sentence):
        with pytest.raises(SettingsError, match=sentence):
            MarkSets.from_json(VERSIONS.to_dict() | fields)
        with pytest.raises(SettingsError, match="is 'versions'"):
            VersionsSettings.from_json({"share": 0.5})

    def test_one_keyed_choice_behind_the_struck_sets(self):
        marks = MarkSets((STRUCK, VERSIONS))
        assert (marks.struck, marks.choice, marks.versions, marks.withheld) == ((STRUCK,), VERSIONS, VERSIONS, None)
        withheld = WithheldSettings("ab" * 32)
        assert MarkSets((withheld,)).choice == withheld
        assert MarkSets((STRUCK,)).choice is None
        with pytest.raises(SettingsError, match="one keyed choice"):
            MarkSets((withheld, VERSIONS))
        with pytest.raises(SettingsError, match="one keyed choice"):
            MarkSets((VERSIONS, VERSIONS))
        with pytest.raises(SettingsError, match="stands behind"):
            MarkSets((VERSIONS, STRUCK))

    def test_a_test_needs_pictures_enough(self):
        check_versions(VERSIONS, 20)
        with pytest.raises(SettingsError, match="19 images would come in one of two versions, and a test needs 20"):
            check_versions(VERSIONS, 19)
        with pytest.raises(SettingsError, match="needs 30"):
            check_versions(VERSIONS, 29, 1e-9)
        assert VERSIONS.smallest_p(10) == 2.0**-10


class TestPatterns:
    def test_the_second_undoes_the_first_and_every_picture_has_its_own(self):
        family = FaintFamily(VERSIONS)
        first, second = two_patterns(family, sha(1))
        assert (first.astype(int) + second == 255).all()
        assert (first != two_patterns(family, sha(2))[0]).any()
        assert (first == two_patterns(FaintFamily(VersionsSettings(decibels=40)), sha(1))[0]).all()
        assert (first[..., 0] == first[..., 1]).all()  # brightness alone

    @pytest.mark.parametrize("decibels", [30, 34, 38, 44])
    def test_they_are_as_far_from_the_source_as_was_said(self, decibels):
        family, grey = FaintFamily(VersionsSettings(decibels=decibels)), np.full((64, 48, 3), 128, np.uint8)
        for number in range(5):
            for pattern in two_patterns(family, sha(number)):
                changed = family.mix(grey, pattern, (0.0, 0.0), out=np.empty_like(grey)).astype(float)
                psnr = 10 * np.log10(255**2 / ((changed - grey) ** 2).mean())
                assert abs(psnr - decibels) < 0.8


class TestChoice:
    def test_it_is_fixed_by_key_beacon_and_number(self):
        entries = listing(200)
        assert secret().candidates(entries) == secret().candidates(entries)
        homes = [[one.home(sha(n)) for n in range(200)] for one in (secret(), secret(), secret(1))]
        assert homes[0] == homes[1] != homes[2]
        assert all(secret().published(sha(n)) == 1 - secret().home(sha(n)) for n in range(50))
        order = [one.position for one in secret().candidates(entries).images]
        assert order != [one.position for one in secret(1).candidates(entries).images]

    def test_its_purposes_are_its_own(self):
        own = Prf(KEY, BEACON, "set-2/versions/home").digest(sha(1))[0] & 1
        assert secret(1).home(sha(1)) == own
        derived = MarkSets((STRUCK, VERSIONS)).choose_versions(KEY, BEACON)
        assert derived.home(sha(1)) == own
        assert MarkSets((STRUCK,)).choose_versions(KEY, BEACON) is None

    def test_either_version_stays_home_as_often(self):
        homes = Counter(secret().home(sha(n)) for n in range(10_000))
        assert binomtest(homes[0], 10_000, 0.5).pvalue > 1e-6

    @given(pictures=st.integers(1, 60), copies=st.integers(0, 30), share=st.floats(0.05, 1))
    def test_copies_follow_each_other_and_none_is_left_behind(self, pictures, copies, share):
        entries = listing(pictures, min(copies, pictures))
        found = secret(share=share).candidates(entries)
        assert found.wanted == len(found.images) <= share * len(entries) + 1e-6
        shas = [one.sha256 for one in found.images]
        runs = [shas[at] for at in range(len(shas)) if at == 0 or shas[at] != shas[at - 1]]
        assert len(runs) == len(set(runs))
        files = Counter(entry.sha256 for entry in entries)
        assert all(files[one] == count for one, count in Counter(shas).items())
        assert all(entries[one.position].path == one.path for one in found.images)

    def test_a_smaller_share_takes_the_first_of_a_larger_one(self):
        entries = listing(100)
        some, all_ = (secret(share=share).candidates(entries).images for share in (0.3, 1.0))
        assert all_[: len(some)] == some
        assert len(all_) == 100
