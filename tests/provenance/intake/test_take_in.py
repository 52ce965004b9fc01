"""The whole intake, from a source to a manifest."""

import json
import os
import unicodedata

import pytest

from provenance.intake.errors import IntakeError, LabelsError
from provenance.intake.labels import Labels
from provenance.intake.manifest import Manifest
from provenance.intake.merkle import leaf_hash, verify_inclusion
from provenance.intake.take_in import take_in

from .samples import MEMBERS, ONE, jpeg, options, tree_of, write_folder, write_tar, write_zip

pytestmark = pytest.mark.long

TAKEN = ["cat.jpg", "cat/1.jpg", "cat/2.png", "dog/copy.jpg", "dog/sub/1.webp"]  # "." sorts before "/"


def refusals(taken):
    with Manifest(taken.manifest) as manifest:
        return {item["path"]: item["reason"] for item in manifest.refused(0, 1000)}


def entries(taken):
    with Manifest(taken.manifest) as manifest:
        return list(manifest)


@pytest.fixture(params=["folder", "zip", "tar.gz"])
def source(request, tmp_path):
    if request.param == "folder":
        return write_folder(tmp_path / "source", MEMBERS)
    if request.param == "zip":
        return write_zip(tmp_path / "source.zip", MEMBERS)
    return write_tar(tmp_path / "source.tar.gz", MEMBERS, "w:gz")


def test_the_same_files_give_the_same_manifest_whatever_brings_them(source, tmp_path):
    taken = take_in(source, tmp_path / "work", ONE)
    assert [entry.path for entry in entries(taken)] == TAKEN
    assert taken.facts["files"] == 5
    assert taken.facts["formats"] == {"JPEG": 3, "PNG": 1, "WEBP": 1}
    assert taken.facts["duplicates"] == {"copies": 1, "originals": 1}
    assert taken.facts["refused"] == 2
    assert refusals(taken).keys() == {"cut.jpg", "empty/readme.txt"}
    for entry in entries(taken):
        assert (taken.files / entry.path).read_bytes() == dict(MEMBERS)[entry.path]


def test_sources_of_all_kinds_share_one_root(tmp_path):
    roots = set()
    for kind, path in (
        ("folder", write_folder(tmp_path / "source", MEMBERS)),
        ("zip", write_zip(tmp_path / "source.zip", MEMBERS)),
        ("tar", write_tar(tmp_path / "source.tar", list(reversed(MEMBERS)))),
    ):
        taken = take_in(path, tmp_path / kind, ONE)
        assert taken.facts["source"] == kind
        roots.add(taken.facts["root"])
    assert len(roots) == 1


def test_proofs_hold_against_the_root(source, tmp_path):
    taken = take_in(source, tmp_path / "work", ONE)
    with Manifest(taken.manifest) as manifest:
        for index in range(len(manifest)):
            leaf = leaf_hash(manifest.line(index))
            assert verify_inclusion(leaf, index, len(manifest), manifest.proof(index), bytes.fromhex(manifest.root))
            assert manifest.entry(index).line() == manifest.line(index)


def test_unpacked_files_are_read_only_and_only_the_taken_ones_stay(tmp_path):
    path = write_zip(tmp_path / "a.zip", [*MEMBERS, ("../out.jpg", jpeg(9)), ("/abs.jpg", jpeg(9))])
    taken = take_in(path, tmp_path / "job" / "work", ONE)
    assert sorted(tree_of(taken.files)) == sorted(TAKEN)
    assert all((taken.files / path).stat().st_mode & 0o777 == 0o444 for path in TAKEN)
    outside = [p for p in tmp_path.rglob("*") if p.is_file() and tmp_path / "job" not in p.parents]
    assert outside == [path]


def test_a_folder_is_read_in_place_and_links_are_not_followed(tmp_path):
    source = write_folder(tmp_path / "source", MEMBERS)
    secret = write_folder(tmp_path / "secret", [("x.jpg", jpeg(8))])
    (source / "link.jpg").symlink_to(secret / "x.jpg")
    (source / "linked").symlink_to(secret)
    os.mkfifo(source / "pipe.jpg")
    (source / os.fsdecode(b"bad\xff.jpg")).write_bytes(jpeg())
    (source / unicodedata.normalize("NFD", "Kätzchen.jpg")).write_bytes(jpeg())
    before = tree_of(tmp_path / "source")
    taken = take_in(source, tmp_path / "work", ONE)
    assert taken.files == source
    assert not (tmp_path / "work" / "files").exists()
    assert tree_of(tmp_path / "source") == before
    assert [entry.path for entry in entries(taken)] == TAKEN
    reasons = refusals(taken)
    assert reasons["link.jpg"] == reasons["linked"] == "a link"
    assert "device" in reasons["pipe.jpg"]
    assert "UTF-8" in reasons["bad\\xff.jpg"] or "UTF-8" in reasons["bad\\udcff.jpg"]
    assert any("NFC" in reason for reason in reasons.values())
    with Manifest(taken.manifest) as manifest:
        assert manifest.mtime_ns(0) == (source / TAKEN[0]).stat().st_mtime_ns


def test_the_first_of_duplicate_names_counts(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = write_zip(tmp_path / "a.zip", [("a.jpg", jpeg(1)), ("a.jpg", jpeg(2)), ("./a.jpg", jpeg(3))])
    taken = take_in(path, tmp_path / "work", ONE)
    assert (taken.files / "a.jpg").read_bytes() == jpeg(1)
    with Manifest(taken.manifest) as manifest:
        assert [item["path"] for item in manifest.refused()] == ["./a.jpg", "a.jpg"]
        assert all("duplicate name" in item["reason"] for item in manifest.refused())


def test_files_and_folders_of_one_name_clash(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("a", jpeg(1)), ("a/b.jpg", jpeg(2)), ("c/d.jpg", jpeg(3)), ("c", jpeg(4))])
    taken = take_in(path, tmp_path / "work", ONE)
    assert [entry.path for entry in entries(taken)] == ["a", "c/d.jpg"]
    assert refusals(taken) == {
        "a/b.jpg": "a file has the name of one of its folders",
        "c": "a folder has the same name",
    }


def test_paths_that_differ_only_in_case_clash(tmp_path):
    names = ["Cat/1.jpg", "cat/1.JPG", "cat/1.jpg", "cat/2.jpg", "STRASSE.png", "straße.png"]
    path = write_zip(tmp_path / "a.zip", [(name, jpeg(number)) for number, name in enumerate(names)])
    taken = take_in(path, tmp_path / "work", ONE)
    assert [entry.path for entry in entries(taken)] == ["Cat/1.jpg", "STRASSE.png", "cat/2.jpg"]
    assert refusals(taken)["cat/1.jpg"].startswith("clashes with Cat/1.jpg")
    assert taken.facts["files"] == taken.facts["formats"]["JPEG"] == 3
    assert sorted(tree_of(taken.files)) == ["Cat/1.jpg", "STRASSE.png", "cat/2.jpg"]


def test_junk_is_skipped_not_refused(tmp_path):
    members = [("a.jpg", jpeg()), ("__MACOSX/a.jpg", b"x"), (".DS_Store", b"x"), ("b/Thumbs.db", b"x")]
    for kind, source in (
        ("folder", write_folder(tmp_path / "source", members)),
        ("zip", write_zip(tmp_path / "a.zip", members)),
    ):
        taken = take_in(source, tmp_path / kind, ONE)
        assert (taken.facts["files"], taken.facts["refused"], taken.facts["skipped"]) == (1, 0, 3)


def test_decoding_everything_agrees_with_the_structure(tmp_path):
    source = write_folder(tmp_path / "source", MEMBERS)
    quick = take_in(source, tmp_path / "quick", ONE)
    thorough = take_in(source, tmp_path / "thorough", options(decode_all=True))
    assert quick.facts == thorough.facts


def test_nothing_to_take_is_an_error_that_says_why(tmp_path):
    with pytest.raises(IntakeError, match=r"no image.*readme.txt: not an image"):
        take_in(write_zip(tmp_path / "a.zip", [("readme.txt", b"hello")]), tmp_path / "work", ONE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(IntakeError, match="no image"):
        take_in(tmp_path / "empty", tmp_path / "work2", ONE)
    with pytest.raises(IntakeError, match="cannot be read"):
        take_in(tmp_path / "absent", tmp_path / "work3", ONE)


# Labels ---------------------------------------------------------------------------------------------------------------


def test_first_folders_become_labels(source, tmp_path):
    taken = take_in(source, tmp_path / "work", options(labels=Labels("folder")))
    assert {entry.path: entry.label for entry in entries(taken)} == {
        "cat.jpg": None,
        "cat/1.jpg": "cat",
        "cat/2.png": "cat",
        "dog/copy.jpg": "dog",
        "dog/sub/1.webp": "dog",
    }
    assert taken.facts["labels"] == {"cat": 2, "dog": 2}
    assert taken.facts["labelled"] == 4


def test_last_folders_become_labels(source, tmp_path):
    taken = take_in(source, tmp_path / "work", options(labels=Labels("last_folder")))
    assert taken.facts["labels"] == {"cat": 2, "dog": 1, "sub": 1}


CSV = (
    '\ufeffpath,label,caption\r\ncat/1.jpg,cat,"A cat, ""Minka"""\r\n./cat.jpg,,just a caption\r\n'
    "cat/1.jpg,dog,\r\nabsent.jpg,cat,\r\n../up.jpg,cat,\r\ndog/copy.jpg,dog\r\n\r\ncat/2.png,,\r\ndog/sub/1.webp,犬,"
)


@pytest.mark.parametrize("inside", [True, False])
def test_a_csv_brings_labels_and_captions(source, tmp_path, inside):
    if inside:
        members = [("labels.csv", CSV.encode()), *MEMBERS]
        source = write_folder(source, members) if source.is_dir() else write_zip(tmp_path / "b.zip", members)
        labels = Labels("csv", csv="labels.csv")
    else:
        (tmp_path / "labels.csv").write_bytes(CSV.encode())
        labels = Labels("csv", file=tmp_path / "labels.csv")
    taken = take_in(source, tmp_path / "work", options(labels=labels))
    described = {entry.path: (entry.label, entry.caption) for entry in entries(taken)}
    assert described == {
        "cat.jpg": (None, "just a caption"),
        "cat/1.jpg": ("cat", 'A cat, "Minka"'),
        "cat/2.png": (None, None),
        "dog/copy.jpg": (None, None),
        "dog/sub/1.webp": ("犬", None),
    }
    assert all(entry.line() for entry in entries(taken))
    reasons = refusals(taken)
    assert {where: reason for where, reason in reasons.items() if "line" in where} == {
        "labels.csv line 000004": "cat/1.jpg is named a second time; the first line counts",
        "labels.csv line 000005": "the dataset has no file absent.jpg",
        "labels.csv line 000006": "no usable path: path leaves the dataset's folder (..)",
        "labels.csv line 000007": "2 fields where the first line names 3",
        "labels.csv line 000009": "neither label nor caption",
    }
    assert taken.facts["label_problems"] == 5
    assert (taken.facts["labelled"], taken.facts["captioned"]) == (2, 2)
    with Manifest(taken.manifest) as manifest:
        for index, entry in enumerate(manifest):
            assert manifest.line(index) == entry.line()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a.jpg,cat\n", "columns"),
        ("path,label\na.jpg,cat\n".encode("utf-16"), "UTF-8"),
        (b"", "columns"),
    ],
)
def test_a_csv_that_is_none_is_one_error(tmp_path, text, message):
    (tmp_path / "labels.csv").write_bytes(text)
    source = write_folder(tmp_path / "source", MEMBERS)
    with pytest.raises(LabelsError, match=message):
        take_in(source, tmp_path / "work", options(labels=Labels("csv", file=tmp_path / "labels.csv")))


def test_lines_of_a_csv_in_another_encoding_are_listed(tmp_path):
    text = b"path;label\ncat/1.jpg;cat\ncat/2.png;" + "Kätzchen\n".encode("latin-1")
    (tmp_path / "labels.csv").write_bytes(text)
    source = write_folder(tmp_path / "source", MEMBERS)
    taken = take_in(source, tmp_path / "work", options(labels=Labels("csv", file=tmp_path / "labels.csv")))
    assert taken.facts["labels"] == {"cat": 1}
    assert refusals(taken)["labels.csv line 000003"] == "its label is not valid UTF-8"


@pytest.mark.shared
def test_real_photographs_agree_with_pillow(shared, tmp_path):
    from PIL import Image

    taken = take_in(shared / "data" / "photos.zip", tmp_path / "work", ONE)
    assert taken.facts["files"] == 200
    assert taken.facts["refused"] == 0
    for entry in entries(taken):
        with Image.open(taken.files / entry.path) as image:
            assert (entry.width, entry.height, entry.mode, entry.format) == (*image.size, image.mode, image.format)


def test_facts_are_json_without_time_or_place(source, tmp_path):
    taken = take_in(source, tmp_path / "work", ONE)
    text = (taken.manifest / "facts.json").read_text()
    assert json.loads(text) == taken.facts
    assert str(tmp_path) not in text
