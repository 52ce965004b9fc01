import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.marks import PRESETS, MarkSettings, SettingsError, families, get_family

GROUPS = ("airplane", "bird", "cat", "Straße")


@given(
    st.lists(
        st.text(min_size=1).filter(lambda t: t.strip() == t and t.isprintable()), min_size=4, max_size=9, unique=True
    ),
    st.floats(0.001, 1),
    st.floats(0.125, 0.25),
    st.floats(0.3, 1),
    st.integers(2, 8),
)
def test_settings_survive_json(groups, share, side, opacity, cells):
    settings = MarkSettings(groups=tuple(groups), share=share, side=side, opacity=opacity, cells=cells)
    again = MarkSettings.from_json(settings.to_json())
    assert again == settings
    assert again.to_json() == settings.to_json()
    assert MarkSettings.from_json(settings.to_dict()) == settings


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"family": "stamp"}, "patch"),
        ({"association": "loose"}, "associated"),
        ({"group_by": "colour"}, "class"),
        ({"groups": GROUPS[:3]}, "at least 4"),
        ({"group_by": "cluster"}, "digest"),
        ({"clusters": "0" * 64}, "leave it out"),
        ({"size_classes": (0, 1)}, "every group"),
        ({"forbidden": ((0, 4),)}, "counted from 0"),
        ({"forbidden": ((0,),)}, "pairs"),
        ({"forbidden": ((0, 0), (0, 1), (0, 2), (0, 3))}, "No assignment"),
        ({"groups": ("a", "a", "b", "c")}, "only once"),
        ({"groups": ("Cat", "cat", "b", "c"), "group_by": "word"}, "only once"),
        ({"groups": ("", "a", "b", "c")}, "group"),
        ({"groups": tuple(map(str, range(65)))}, "64"),
        ({"share": 0}, "share"),
        ({"share": 1.01}, "share"),
        ({"share": "lots"}, "share"),
        ({"share": float("nan")}, "share"),
        ({"side": 0.5}, "1/8"),
        ({"opacity": 0.1}, "opacity"),
        ({"cells": 1}, "blocks"),
        ({"cells": True}, "blocks"),
    ],
)
def test_unusable_settings_are_refused_with_a_reason(changes, word):
    with pytest.raises(SettingsError, match=word):
        MarkSettings(**{"groups": GROUPS, **changes})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"groups": "cat"}', '{"groups": ["a","b","c","d"], "colour": 1}'])
def test_malformed_json_is_refused(text):
    with pytest.raises(SettingsError):
        MarkSettings.from_json(text)


def test_presets_rise_in_strength_and_make_valid_settings():
    made = [PRESETS[name].settings(GROUPS) for name in ("discreet", "balanced", "strong")]
    assert [m.opacity for m in made] == sorted(m.opacity for m in made)
    assert "about 29 dB PSNR" in PRESETS["discreet"].describe("patch")
    assert "200 marked images per group" in PRESETS["discreet"].describe("patch")
    assert "per group" not in PRESETS["discreet"].describe("patch", "plain")  # nothing sure was seen of those


def test_an_unknown_family_names_the_known_ones():
    assert "patch" in families()
    with pytest.raises(SettingsError, match="patch"):
        get_family("stamp")


def test_the_smallest_p_is_one_over_the_number_of_permutations():
    assert MarkSettings(groups=GROUPS).smallest_p == pytest.approx(1 / 24)


def test_importing_marks_leaves_torch_alone():
    code = "import sys, provenance.marks; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_equal_settings_give_equal_json():
    one = MarkSettings(groups=GROUPS, share=0.5)
    two = MarkSettings(**dict(reversed(json.loads(one.to_json()).items())))
    assert one.to_json() == two.to_json()
