"""What binds answers and calibrations to code: statements of the computing rooms, and nothing else."""

import ast
import shutil
from pathlib import Path

import pytest

from audits.services.code_version import (
    COMPUTING_ROOMS,
    PACKAGES,
    ROOT,
    code_version,
    computes_alike,
    computing_digest,
    digest_of_statements,
    sources_digest,
)

pytestmark = pytest.mark.long

# What computing rooms import from elsewhere and what decides about no number.
NOT_COMPUTING = {
    "provenance.errors": "sentences",
    "provenance.wording": "how numbers stand in sentences",
    "provenance.whole_files": "how a file is put in place",
    "provenance.intake.manifest": "lists of files; their digests are in the question",
    "provenance.intake.writing": "lists of files",
    "provenance.intake.images": "which files are images at all",
    "provenance.intake.parts": "where the parts of a file begin",
    "provenance.intake.labels": "how a CSV of labels is read",
    "provenance.intake.paths": "how paths are compared",
    "audits.planning.views": "bounds and defaults of what a plan chooses",
    "provenance.intake.claims": "which images could not be marked, as their reasons say",
    "provenance.intake.blocks": "the name under which claims are counted",
    "provenance.intake.errors": "sentences",
    "provenance.compiling": "where machine code is kept",
    "audits.pilots.threads": "how many threads linear algebra takes",
}


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of some of our sources, to be changed: three files of a room show as much as all of them, sooner."""
    files = {ROOT / "audits" / "views" / "audits.py", ROOT / "audits" / "statistics" / "density.py"}
    for room in COMPUTING_ROOMS:
        place = ROOT / room
        files |= set(sorted(place.glob("*.py"))[:3]) if place.is_dir() else {place}
    for file in files:
        copy = tmp_path / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    return tmp_path


def change(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def test_the_installed_code_is_named_by_both_digests():
    assert code_version() == f"0.1.0 (sources {sources_digest(ROOT)}, computing {digest_of_statements(ROOT)})"
    assert computing_digest() == digest_of_statements(ROOT)


def test_pages_docstrings_comments_and_layout_bind_nothing(checkout):
    before = digest_of_statements(checkout), sources_digest(checkout)
    density = checkout / "audits" / "statistics" / "density.py"
    change(checkout / "audits" / "views" / "audits.py", "from ", "import os\nfrom ")
    change(density, '"""', '"""Said in other words. ')
    density.write_text(density.read_text() + "\n\n# a remark\n")
    assert digest_of_statements(checkout) == before[0]
    assert sources_digest(checkout) != before[1]


@pytest.mark.parametrize("room", COMPUTING_ROOMS)
def test_a_statement_of_every_computing_room_binds(checkout, room):
    place = checkout / room
    before = digest_of_statements(checkout)
    file = place if place.is_file() else next(path for path in sorted(place.glob("*.py")) if path.stem != "__init__")
    file.write_text(file.read_text() + "\n\nLIMIT = 1\n")
    assert digest_of_statements(checkout) != before


def test_a_new_file_of_a_computing_room_binds(checkout):
    before = digest_of_statements(checkout)
    (checkout / "audits" / "judging" / "another.py").write_text("")
    assert digest_of_statements(checkout) != before


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("0.1.0 (sources aaa, computing bbb)", "0.2.0 (sources ccc, computing bbb)", True),
        ("0.1.0 (sources aaa, computing bbb)", "0.1.0 (sources aaa, computing ccc)", False),
        ("0.1.0 (sources aaa)", "0.1.0 (sources aaa)", True),
        ("0.1.0 (sources aaa)", "0.1.0 (sources bbb)", False),
        ("0.1.0 (sources aaa)", "0.1.0 (sources aaa, computing bbb)", False),
    ],
)
def test_code_versions_compute_alike(one, other, alike):
    assert computes_alike(one, other) is alike


def test_what_computing_rooms_import_is_computing_too_or_listed_here():
    outside = set()
    for room in COMPUTING_ROOMS:
        place = ROOT / room
        for path in place.rglob("*.py") if place.is_dir() else (place,):
            outside |= {name for name in _imported(path) if not _is_computing(name)}
    assert outside == set(NOT_COMPUTING)


def _imported(path: Path) -> set[str]:
    """Our modules that a file imports, lazily or not."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if _file(name).exists() or _folder(name) else node.module for name in names}
    return found


def _file(name: str) -> Path:
    return ROOT / (name.replace(".", "/") + ".py")


def _folder(name: str) -> bool:
    return (ROOT / name.replace(".", "/")).is_dir()


def _is_computing(name: str) -> bool:
    path = name.replace(".", "/")
    return any(f"{path}.py" == room or f"{path}/".startswith(f"{room}/") for room in COMPUTING_ROOMS)
