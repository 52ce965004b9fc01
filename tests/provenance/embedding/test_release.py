"""A whole release: what changes, what stays, and that nothing depends on threads, kills or chance."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from provenance.embedding.errors import EmbeddingError, SourceChangedError
from provenance.intake.manifest import Manifest
from tests.provenance.embedding.builders import (
    GROUPS,
    embed,
    jpeg,
    jpeg_version,
    secret_of,
    tiny_jpeg,
    tree_digest,
    write_version,
)

pytestmark = pytest.mark.long


@pytest.fixture
def version(tmp_path):
    return jpeg_version(tmp_path / "version")


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_only_the_marked_files_change(version, tmp_path):
    facts = embed(version, tmp_path / "out", secret_of())
    before, after = (tree_digest(root / "files") for root in (tmp_path / "version", tmp_path / "out"))
    marked = lines(tmp_path / "out" / "marked.jsonl")
    assert before.keys() == after.keys()
    assert {path for path in before if before[path] != after[path]} == {row["path"] for row in marked}
    assert facts["marked"] == len(marked) == 24
    assert all(group["marked"] == 6 for group in facts["groups"])
    for row in marked:
        assert (row["old_sha256"], row["new_sha256"]) == (before[row["path"]], after[row["path"]])
        assert row["survival"] >= 0.7


def test_the_manifest_describes_the_release(version, tmp_path):
    facts = embed(version, tmp_path / "out", secret_of())
    after = tree_digest(tmp_path / "out" / "files")
    with Manifest(tmp_path / "out" / "manifest") as written:
        assert written.root == facts["root"] != version.root
        assert {entry.path: entry.sha256 for entry in written} == after
        assert [entry.label for entry in written] == [entry.label for entry in version]
        for index, entry in enumerate(written):
            assert entry.size == (tmp_path / "out" / "files" / entry.path).stat().st_size
            assert written.mtime_ns(index) == version.mtime_ns(index)


def test_the_right_pattern_goes_to_the_right_group(version, tmp_path):
    secret = secret_of(9)
    embed(version, tmp_path / "out", secret)
    for row in lines(tmp_path / "out" / "marked.jsonl"):
        group = GROUPS.index(row["path"].split("/")[0])
        assert row["group"] == group
        assert secret.assignment[row["pattern"]] == group


def test_dates_do_not_tell_marked_files_apart(version, tmp_path):
    embed(version, tmp_path / "out", secret_of())
    for entry in version:
        one, two = ((tmp_path / name / "files" / entry.path).stat() for name in ("version", "out"))
        assert one.st_mtime_ns == two.st_mtime_ns


@pytest.mark.parametrize("owned", [True, False])
def test_permissions_do_not_tell_marked_files_apart(version, tmp_path, owned):
    for path in (tmp_path / "version" / "files").rglob("*.jpg"):
        path.chmod(0o444)  # as the intake leaves what is ours
    embed(version, tmp_path / "out", secret_of(), owned=owned)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "out" / "files").rglob("*.jpg")}
    assert modes == {0o444 if owned else 0o644}


def test_owned_files_are_linked_and_others_copied(version, tmp_path):
    embed(version, tmp_path / "linked", secret_of())
    embed(version, tmp_path / "copied", secret_of(), owned=False)
    marked = {row["path"] for row in lines(tmp_path / "linked" / "marked.jsonl")}
    plain = next(entry.path for entry in version if entry.path not in marked)
    original = tmp_path / "version" / "files" / plain
    assert (tmp_path / "linked" / "files" / plain).samefile(original)
    assert not (tmp_path / "copied" / "files" / plain).samefile(original)
    assert tree_digest(tmp_path / "linked") == tree_digest(tmp_path / "copied")


def test_another_key_marks_otherwise(version, tmp_path):
    one = embed(version, tmp_path / "one", secret_of(1))
    two = embed(version, tmp_path / "two", secret_of(2))
    assert one["root"] != two["root"]


SCRIPT = """
    import sys
    from pathlib import Path
    import tests.provenance.embedding.builders as b
    from provenance.intake.manifest import Manifest
    root, out, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    b.embed(Manifest(root / "manifest"), out, b.secret_of(), workers=workers)
"""


def run_embedding(version, out, workers, **environment):
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), version.folder.parent, out, str(workers)]
    return subprocess.Popen(list(map(str, command)), env={**os.environ, **environment})


def test_releases_are_bit_identical_under_any_number_of_threads(version, tmp_path):
    one = run_embedding(version, tmp_path / "one", 1, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    four = run_embedding(version, tmp_path / "four", 4, OMP_NUM_THREADS="4", OPENBLAS_NUM_THREADS="4")
    assert one.wait() == four.wait() == 0
    assert tree_digest(tmp_path / "one") == tree_digest(tmp_path / "four")


def test_a_killed_job_resumes_to_the_same_bytes(tmp_path):
    version = jpeg_version(tmp_path / "version", per_group=400)
    secret = secret_of(share=0.5)
    embed(version, tmp_path / "whole", secret)
    script = textwrap.dedent(SCRIPT).replace("b.secret_of()", "b.secret_of(share=0.5)")
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "version"), str(tmp_path / "killed"), "1"])
    blocks = tmp_path / "killed" / "work" / "marks"
    while child.poll() is None and len(list(blocks.glob("*.json"))) < 3:
        time.sleep(0.005)
    assert child.poll() is None, "it finished before it could be killed"
    child.send_signal(signal.SIGKILL)
    child.wait()
    stored = {path.name: path.stat().st_mtime_ns for path in blocks.glob("*.json")}
    assert stored
    phases = []
    embed(version, tmp_path / "killed", secret, progress=lambda done, total, phase: phases.append((phase, done)))
    assert tree_digest(tmp_path / "killed") == tree_digest(tmp_path / "whole")


@pytest.mark.parametrize("phase", ["choosing images", "marking images", "placing files", "writing the manifest"])
def test_a_stopped_job_resumes_to_the_same_bytes(version, tmp_path, phase):
    embed(version, tmp_path / "whole", secret_of())

    def stop(done, total, name):
        if name == phase:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        embed(version, tmp_path / "stopped", secret_of(), progress=stop)
    embed(version, tmp_path / "stopped", secret_of())
    assert tree_digest(tmp_path / "stopped") == tree_digest(tmp_path / "whole")


def test_a_finished_release_is_not_made_twice(version, tmp_path):
    facts = embed(version, tmp_path / "out", secret_of())
    calls = []
    assert embed(version, tmp_path / "out", secret_of(), progress=lambda *step: calls.append(step)) == facts
    assert not calls


class TestChangedSources:
    def test_a_changed_folder_is_refused_with_a_list(self, version, tmp_path):
        files = tmp_path / "version" / "files"
        (files / "ant" / "000.jpg").write_bytes(b"short")
        (files / "bee" / "001.jpg").unlink()
        same_size = files / "cow" / "002.jpg"
        data = bytearray(same_size.read_bytes())
        data[-10] ^= 1
        same_size.write_bytes(data)
        with pytest.raises(SourceChangedError, match="3 files have changed") as refusal:
            embed(version, tmp_path / "out", secret_of(), owned=False)
        assert refusal.value.detail.splitlines() == ["ant/000.jpg", "bee/001.jpg", "cow/002.jpg"]
        assert not (tmp_path / "out" / "facts.json").exists()

    def test_a_touched_file_with_the_same_content_is_fine(self, version, tmp_path):
        os.utime(tmp_path / "version" / "files" / "ant" / "000.jpg")
        embed(version, tmp_path / "out", secret_of(), owned=False)
        assert tree_digest(tmp_path / "out" / "files").keys() == tree_digest(tmp_path / "version" / "files").keys()

    def test_a_marked_file_is_proven_by_its_hash_even_in_our_own_folder_and_not_named(self, version, tmp_path):
        for path in (tmp_path / "version" / "files").rglob("*.jpg"):
            data = bytearray(path.read_bytes())
            data[-10] ^= 1
            path.write_bytes(data)
        with pytest.raises(SourceChangedError, match="its size is the same") as refusal:
            embed(version, tmp_path / "out", secret_of())
        said = f"{refusal.value.sentence} {refusal.value.detail}"
        assert not any(group in said for group in GROUPS)
        assert ".jpg" not in said


def test_images_that_cannot_be_marked_are_replaced_by_the_next_draw(tmp_path):
    from PIL import Image

    from tests.provenance.embedding.builders import as_bytes, picture

    files = {f"{group}/{i:03d}.jpg": jpeg(100 * g + i) for g, group in enumerate(GROUPS) for i in range(60)}
    frames = [Image.fromarray(picture(seed)) for seed in (1, 2)]
    still = as_bytes(frames[0], "PNG")
    # An unknown chunk type for frames makes the file one that would lose them, while its structure stays sound.
    import struct
    import zlib

    body = b"fcTL" + bytes(26)
    frame = struct.pack(">I", 26) + body + struct.pack(">I", zlib.crc32(body))
    sly = still[:-12] + frame + still[-12:]
    for path in [path for path in files if path.startswith("ant/")][::2]:
        files[path.replace(".jpg", ".png")] = sly
        del files[path]
    version = write_version(tmp_path / "version", files)
    facts = embed(version, tmp_path / "out", secret_of())
    assert facts["groups"][0] == {"name": "ant", "images": 60, "wanted": 12, "marked": 12}
    unmarked = lines(tmp_path / "out" / "unmarked.jsonl")
    assert unmarked
    assert {row["path"].split("/")[0] for row in unmarked} == {"ant"}
    assert facts["passed_over"] == {"An animated PNG would lose its frames.": len(unmarked)}


def test_images_too_small_for_a_mark_are_passed_over(tmp_path):
    files = {f"{group}/{i:03d}.jpg": jpeg(100 * g + i) for g, group in enumerate(GROUPS) for i in range(20)}
    files |= {f"{group}/tiny-{i}.jpg": tiny_jpeg(1000 * g + i) for g, group in enumerate(GROUPS) for i in range(10)}
    with write_version(tmp_path / "version", files) as version:
        facts = embed(version, tmp_path / "out", secret_of(family="blend", opacity=0.6, amplitude=32.0))
    assert [group["marked"] for group in facts["groups"]] == [6] * 4
    assert sum(facts["passed_over"].values()) > 0
    assert list(facts["passed_over"]) == ["The image is smaller than the 10 pixels that this mark needs."]
    assert "tiny" not in (tmp_path / "out" / "marked.jsonl").read_text()


def test_groups_by_a_word_of_the_caption(tmp_path):
    words = ("red", "green", "blue", "black")
    files = {f"{i:03d}.jpg": jpeg(i) for i in range(80)}
    captions = {path: f"A {words[i % 4].title()} thing." for i, path in enumerate(files)}
    version = write_version(tmp_path / "version", files, captions)
    facts = embed(version, tmp_path / "out", secret_of(groups=words, group_by="word"))
    assert [group["marked"] for group in facts["groups"]] == [4, 4, 4, 4]
    with Manifest(tmp_path / "out" / "manifest") as written:
        assert {entry.path: entry.caption for entry in written} == captions


def test_a_group_without_images_is_refused(version, tmp_path):
    with pytest.raises(EmbeddingError, match="No image belongs to the group eel"):
        embed(version, tmp_path / "out", secret_of(groups=(*GROUPS, "eel")))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"share": 1.0}, "no clean image of ant"),
        ({"share": 1.0, "association": "plain", "groups": ()}, "no clean image of all images"),
    ],
)
def test_a_release_that_no_audit_could_test_is_refused(version, tmp_path, changes, why):
    with pytest.raises(EmbeddingError, match=why):
        embed(version, tmp_path / "out", secret_of(**changes))


def test_facts_name_no_single_image(version, tmp_path):
    embed(version, tmp_path / "out", secret_of())
    text = (tmp_path / "out" / "facts.json").read_text()
    assert ".jpg" not in text
    assert "assignment" not in text
