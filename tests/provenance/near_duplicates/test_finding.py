"""The near-duplicates of a small version, found in blocks that a killed run resumes from."""

import numpy as np
import pytest
from PIL import Image

from provenance.near_duplicates import finding
from provenance.near_duplicates.finding import find_near_duplicates
from tests.provenance.embedding.builders import as_bytes, write_version
from tests.provenance.near_duplicates.test_hashing import scene


def flat(colour: int, **options) -> bytes:
    return as_bytes(Image.new("RGB", (40, 40), (colour,) * 3), "PNG", **options)


FILES = {
    "a/1.png": as_bytes(scene(1), "PNG"),
    "a/2.png": as_bytes(scene(2), "PNG"),
    "a/2 again.png": as_bytes(scene(2), "PNG"),  # an exact copy alone makes no near-duplicate
    "b/1 small.jpg": as_bytes(scene(1).resize((200, 150)), "JPEG", quality=70),
    "b/3.png": as_bytes(scene(3), "PNG"),
    "b/grey.png": flat(128),
    "b/white.png": flat(255),
    "c/4.jpg": as_bytes(scene(4), "JPEG", quality=90),
    "c/4 other.jpg": as_bytes(scene(4), "JPEG", quality=50),
    "c/4 again.jpg": as_bytes(scene(4), "JPEG", quality=90),
    "c/white again.png": flat(255, compress_level=1),
}
GROUPS = [
    {"a/1.png", "b/1 small.jpg"},
    {"b/white.png", "c/white again.png"},
    {"c/4.jpg", "c/4 other.jpg", "c/4 again.jpg"},
]


@pytest.fixture
def version(tmp_path):
    return write_version(tmp_path, FILES)


def found(version, work, progress=lambda done, total, phase: None):
    return find_near_duplicates(version, version.folder.parent / "files", work, progress, workers=2)


def test_it_finds_what_looks_alike(version, tmp_path):
    result = found(version, tmp_path / "work")
    paths = [entry.path for entry in version]
    groups = [{paths[index] for index in np.flatnonzero(result.group_of == number)} for number in range(result.groups)]
    assert sorted(groups, key=min) == GROUPS
    assert (result.images, result.groups, result.flat, result.unread) == (7, 3, 3, 0)
    first = [int(np.flatnonzero(result.group_of == number)[0]) for number in range(3)]
    assert first == sorted(first)  # numbered as they come, so that equal findings give equal files


def test_files_that_cannot_be_read_are_counted(version, tmp_path):
    (version.folder.parent / "files" / "b/3.png").write_bytes(b"\x89PNG")
    assert found(version, tmp_path / "work").unread == 1


def test_a_stopped_run_resumes_at_its_block(version, tmp_path, monkeypatch):
    monkeypatch.setattr(finding, "BLOCK", 2)

    def stop(done, total, phase):
        if done >= 8:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        found(version, tmp_path / "work", stop)
    stored = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()}
    assert len(stored) == 4
    result = found(version, tmp_path / "work")
    assert {path: path.stat().st_mtime_ns for path in stored} == stored
    assert result.group_of.tolist() == found(version, tmp_path / "other").group_of.tolist()
