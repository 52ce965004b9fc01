"""Manifests: writing by blocks, reading by page, path and text."""

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.intake import sorting
from provenance.intake.errors import ManifestError
from provenance.intake.manifest import Entry, Manifest
from provenance.intake.merkle import leaf_hash
from provenance.intake.sorting import ExternalSort
from provenance.intake.writing import ManifestWriter


def entry(path, number=0, **more):
    return Entry(path, 100 + number, f"{number:064x}", "JPEG", 32, 24, "RGB", **more)


def written(folder, paths, per_block=3, **more):
    writer = ManifestWriter(folder)
    paths = sorted(paths, key=str.encode)
    blocks = [paths[at : at + per_block] for at in range(0, len(paths), per_block)]
    for number, block in enumerate(blocks):
        writer.write_block(number, [(entry(path, zlib.crc32(path.encode()), **more), 7, 8) for path in block])
    return writer.finish(len(blocks))


def test_a_line_is_canonical_and_leaves_out_what_is_usual():
    assert entry("a.jpg").line() == (
        b'{"format":"JPEG","height":24,"mode":"RGB","path":"a.jpg","sha256":"' + b"0" * 64 + b'","size":100,"width":32}'
    )
    full = entry('ä".png', label="x", caption="y", orientation=6, bits=16)
    assert full.line().startswith(b'{"bits":16,"caption":"y","format":"JPEG","height":24,"label":"x"')
    assert '"path":"ä\\".png"'.encode() in full.line()
    assert Entry.parse(full.line()) == full


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"path":1}', b"\xff"])
def test_lines_that_are_no_entries_are_refused(line):
    with pytest.raises(ManifestError):
        Entry.parse(line)


@settings(max_examples=30, deadline=None)
@given(
    paths=st.sets(
        st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8), min_size=1, max_size=40
    )
)
def test_every_entry_is_found_by_index_path_and_page(tmp_path_factory, paths):
    with written(tmp_path_factory.mktemp("m"), paths) as manifest:
        ordered = [item.path for item in manifest]
        kept = len(manifest)
        assert ordered == sorted(ordered, key=str.encode)
        assert kept + manifest.facts["refused"] == len(paths)  # refused: those that clash
        for index, path in enumerate(ordered):
            assert manifest.find(path) == index
            assert manifest.entry(index).path == path
            assert manifest.crc32(index) == 7
            assert manifest.mtime_ns(index) == 8
        assert manifest.find("absent from it") is None
        pages = [item.path for start in range(0, kept, 4) for item in manifest.page(start, 4)]
        assert pages == ordered
        assert manifest.page(kept, 4) == []
        leaves = b"".join(map(leaf_hash, manifest.lines()))
        assert (manifest.folder / "tree.bin").read_bytes()[: len(leaves)] == leaves


def test_search_finds_text_in_paths_labels_captions_and_digests(tmp_path):
    writer = ManifestWriter(tmp_path)
    items = [
        entry("a/Straße.jpg", 1, label="Katze"),
        entry('b/quote".jpg', 2, caption="a red fox"),
        entry("c/format.jpg", 3),
        entry("d/mode.jpg", 0xABCDEF << 232),
    ]
    writer.write_block(0, [(item, 0, 0) for item in items])
    with writer.finish(1) as manifest:
        found = lambda text, *page: [index for index, _ in manifest.search(text, *page)]  # noqa: E731
        assert found("KATZE") == [0]
        assert found("strasse") == [0]
        assert found("STRAßE") == [0]
        assert found("Red Fox") == [1]
        assert found('"') == [1]
        assert found("format") == [2]  # every line has the word as a key
        assert found("abcdef") == [3]
        assert found("") == [0, 1, 2, 3]
        assert found("", 1, 2) == [1, 2]
        assert found("nothing") == []


def test_entries_out_of_order_are_refused(tmp_path):
    writer = ManifestWriter(tmp_path / "across")
    writer.write_block(0, [(entry("b.jpg"), 0, 0)])
    writer.write_block(1, [(entry("a.jpg"), 0, 0)])
    with pytest.raises(ManifestError, match="order"):
        writer.finish(2)
    writer = ManifestWriter(tmp_path / "missing")
    writer.write_block(1, [(entry("a.jpg"), 0, 0)])
    with pytest.raises(ManifestError, match="Block 0"):
        writer.finish(2)


def test_blocks_survive_and_are_not_asked_for_again(tmp_path):
    ManifestWriter(tmp_path).write_block(0, [(entry("a.jpg"), 0, 0)], [("b.jpg", "because", "refused")])
    writer = ManifestWriter(tmp_path)
    assert writer.has_block(0)
    assert not writer.has_block(1)
    with writer.finish(1, [("0.jpg", "earlier", "skipped")], {"source": "release"}) as manifest:
        assert manifest.refused() == [
            {"path": "0.jpg", "reason": "earlier", "outcome": "skipped"},
            {"path": "b.jpg", "reason": "because", "outcome": "refused"},
        ]
        assert manifest.facts["source"] == "release"
    assert not (tmp_path / "blocks").exists()


def test_duplicates_name_the_first_path_with_the_same_content(tmp_path):
    writer = ManifestWriter(tmp_path)
    digests = [1, 2, 1, 3, 2, 1]
    writer.write_block(0, [(entry(f"{number}.jpg", digest), 0, 0) for number, digest in enumerate(digests)])
    with writer.finish(1) as manifest:
        pairs = sorted((item["first"], item["path"]) for item in manifest.duplicates())
        assert pairs == [("0.jpg", "2.jpg"), ("0.jpg", "5.jpg"), ("1.jpg", "4.jpg")]
        assert manifest.facts["duplicates"] == {"copies": 3, "originals": 2}


def test_duplicates_are_found_among_more_files_than_one_pass_holds(tmp_path, monkeypatch):
    monkeypatch.setattr("provenance.intake.joining._ONE_PASS", 10)
    writer = ManifestWriter(tmp_path)
    rows = [(entry(f"{number:04d}.jpg", (number % 150) << 200 | number % 150), 0, 0) for number in range(200)]
    writer.write_block(0, rows)
    with writer.finish(1) as manifest:
        assert manifest.facts["duplicates"] == {"copies": 50, "originals": 50}
        assert all(int(item["path"][:4]) == int(item["first"][:4]) + 150 for item in manifest.duplicates())


def test_a_manifest_that_lost_a_file_says_so(tmp_path):
    written(tmp_path, ["a", "b"]).close()
    (tmp_path / "offsets.bin").write_bytes(b"\0" * 8)
    with pytest.raises(ManifestError, match="disagree"):
        Manifest(tmp_path)
    (tmp_path / "facts.json").unlink()
    with pytest.raises(ManifestError, match="not whole"):
        Manifest(tmp_path)


@settings(max_examples=40, deadline=None)
@given(records=st.lists(st.binary(max_size=6).filter(lambda record: b"\n" not in record), max_size=60))
def test_external_sorting_sorts(tmp_path_factory, records):
    with pytest.MonkeyPatch.context() as patch, ExternalSort(tmp_path_factory.mktemp("sort")) as sort:
        patch.setattr(sorting, "IN_MEMORY", 3)
        for record in records:
            sort.add(record)
        assert list(sort) == sorted(records)


def test_external_sorting_merges_more_runs_than_files_it_may_open(tmp_path, monkeypatch):
    monkeypatch.setattr(sorting, "IN_MEMORY", 2)
    numbers = [b"%06d" % (number * 7919 % 1000) for number in range(1000)]
    (tmp_path / "scratch").mkdir()
    with ExternalSort(tmp_path / "scratch") as sort:
        for number in numbers:
            sort.add(number)
        assert list(sort) == sorted(numbers)
    assert list((tmp_path / "scratch").iterdir()) == []
