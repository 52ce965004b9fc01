"""Which names get in."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.intake.errors import Refused
from provenance.intake.paths import folded, safe_path, shown


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/passwd", "absolute"),
        ("C:/windows/a.jpg", "drive"),
        ("c:a.jpg", "drive"),
        ("./A:", "drive"),
        ("../a.jpg", r"\.\."),
        ("a/../../b.jpg", r"\.\."),
        ("a\\b.jpg", "backslash"),
        ("a\nb.jpg", "control"),
        ("a\0b.jpg", "control"),
        ("a\x7fb.jpg", "control"),
        ("a\u202egpj.jpg", "control"),
        ("a\u2028b.jpg", "control"),
        ("a\udcffb.jpg", "UTF-8"),
        ("", "empty"),
        ("./.", "empty"),
        ("x" * 256, "255 bytes"),
        ("é" * 130, "255 bytes"),
        ("/".join(["a" * 200] * 6), "1024 bytes"),
        ("a/" * 40 + "b.jpg", "folders deep"),
        ("__MACOSX/._a.jpg", "file browser"),
        ("a/.DS_Store", "file browser"),
    ],
)
def test_bad_names_are_refused_with_a_reason(name, reason):
    with pytest.raises(Refused, match=reason):
        safe_path(name)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a.jpg", "a.jpg"),
        ("./a//b/./c.jpg", "a/b/c.jpg"),
        ("Ka\u0308tzchen/1.jpg", "K\u00e4tzchen/1.jpg"),
        ("猫/\U0001f431.png", "猫/\U0001f431.png"),
        ("a b (1) [x]'.jpg", "a b (1) [x]'.jpg"),
        ("..a/b..jpg", "..a/b..jpg"),
    ],
)
def test_good_names_come_out_relative_and_composed(name, path):
    assert safe_path(name) == path


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="./\\a\u0301:C", max_size=30))
def test_whatever_passes_stays_below_the_folder_and_is_stable(name):
    try:
        path = safe_path(name)
    except Refused:
        return
    assert not path.startswith("/")
    assert all(part not in ("", ".", "..") for part in path.split("/"))
    assert path == unicodedata.normalize("NFC", path)
    assert safe_path(path) == path
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in path)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=400) | st.binary(max_size=400))
def test_shown_names_are_harmless(name):
    text = shown(name)
    assert text.isprintable()
    assert len(text) <= 300
    text.encode("utf-8")


def test_folding_joins_what_a_case_insensitive_disk_would():
    assert folded("Train/A.JPG") == folded("train/a.jpg")
    assert folded("STRASSE") == folded("straße")
    assert folded("a") != folded("b")
