"""A release with a withheld set: what stays home is nowhere in the copy, and everything else is as it was."""

import hashlib
import json
import zipfile

import numpy as np
import pytest

from provenance.embedding.at_home import AtHome, positions_at_home
from provenance.embedding.beside import BesideFile
from provenance.embedding.errors import EmbeddingError
from provenance.embedding.release import embed_release
from provenance.embedding.zip_layout import ZipLayout
from provenance.inspection.choosing import choose_files
from provenance.inspection.files import structural_features
from provenance.intake.manifest import Manifest
from provenance.marks import ImageBlocks, MarkSets, MarkSettings, WithheldSettings
from provenance.marks.copies import first_copies
from tests.provenance.embedding.builders import BEACON, GROUPS, jpeg, tree_digest, write_version

WITHHELD = WithheldSettings("ab" * 32, 3, 0.1)
MARK = MarkSettings(groups=GROUPS, share=0.2, opacity=0.8)
KEY = bytes([7]) * 32


class StopError(Exception):
    pass


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    """96 pictures in four classes; every sixth has an exact copy in another class."""
    files = {f"{group}/{i:02d}.jpg": jpeg(100 * g + i) for g, group in enumerate(GROUPS) for i in range(24)}
    files |= {f"dog/copy-{i}.jpg": files[f"ant/{i:02d}.jpg"] for i in range(0, 24, 6)}
    return write_version(tmp_path_factory.mktemp("home") / "version", files)


def blocks_of(manifest, size: int = 3) -> ImageBlocks:
    """Exact copies are one unit; blocks in the order of units."""
    _, units = np.unique(first_copies(manifest), return_inverse=True)
    block_of_unit = np.arange(units.max() + 1) // size
    block_of_unit[len(block_of_unit) // size * size :] = -1
    return ImageBlocks(units.astype(np.int32), block_of_unit[units].astype(np.int32))


def at_home(manifest, marks: MarkSets, blocks: ImageBlocks | None = None) -> AtHome:
    blocks = blocks or blocks_of(manifest)
    return AtHome(blocks, marks.choose(KEY, BEACON, blocks))


def embed(version, out, marks: MarkSets, **changes):
    arguments = {"progress": lambda done, total, phase: None, "workers": 2, "owned": True, **changes}
    if marks.withheld and "at_home" not in arguments:
        arguments["at_home"] = at_home(version, marks)
    files = version.folder.parent / "files"
    return embed_release(version, files, out, marks.derive(KEY, BEACON), marks, structural_features, **arguments)


def home_paths(out) -> set[str]:
    return {json.loads(line)["path"] for line in (out / "home.jsonl").read_bytes().splitlines()}


def digests(folder) -> dict[str, str]:
    return tree_digest(folder)


@pytest.fixture(scope="module")
def untouched(version, tmp_path_factory):
    out = tmp_path_factory.mktemp("untouched")
    return out, embed(version, out, MarkSets((WITHHELD,)))


@pytest.fixture(scope="module")
def both(version, tmp_path_factory):
    out = tmp_path_factory.mktemp("both")
    return out, embed(version, out, MarkSets((MARK, WITHHELD)))


class TestUntouched:
    def test_nothing_is_changed_and_what_stays_home_is_not_there(self, version, untouched):
        out, _ = untouched
        before, after = digests(version.folder.parent / "files"), digests(out / "files")
        home = home_paths(out)
        assert home
        assert after == {path: digest for path, digest in before.items() if path not in home}
        assert not {before[path] for path in home} & set(after.values())  # no exact copy either
        with Manifest(out / "manifest") as manifest:
            assert [entry.path for entry in manifest] == sorted(set(before) - home)
            assert {entry.path: entry.sha256 for entry in manifest} == after

    def test_the_facts_count_and_name_nothing(self, version, untouched):
        out, facts = untouched
        home = home_paths(out)
        assert facts["withheld"] == {
            "blocks": 9,  # a tenth of 100 images over units of 1.04 images
            "alternatives": 27,
            "images_in_blocks": facts["withheld"]["images_in_blocks"],
            "images_at_home": len(home),
            "share_at_home": round(len(home) / 100, 6),
        }
        assert 9 <= len(home) < 27 <= facts["withheld"]["images_in_blocks"]
        assert (facts["files"], facts["marked"], facts["groups"]) == (100 - len(home), 0, [])
        assert facts["settings"] == WITHHELD.to_dict()
        assert ".jpg" not in json.dumps(facts)

    def test_the_owners_list_says_which_and_of_which_block(self, version, untouched):
        out, _ = untouched
        blocks = blocks_of(version)
        rows = [json.loads(line) for line in (out / "home.jsonl").read_bytes().splitlines()]
        assert positions_at_home(out) == {row["position"] for row in rows}
        for row in rows:
            assert version.entry(row["position"]).path == row["path"]
            assert blocks.unit_of[row["position"]] == row["unit"]
            assert blocks.block_of[row["position"]] == row["block"]
        assert len({row["block"] for row in rows}) == len({row["unit"] for row in rows}) == 9
        assert positions_at_home(out / "files") == frozenset()

    def test_the_zip_holds_what_the_manifest_says(self, untouched, tmp_path):
        out, _ = untouched
        with Manifest(out / "manifest") as manifest:
            layout = ZipLayout(manifest, out / "files")
            (tmp_path / "copy.zip").write_bytes(b"".join(layout.read_range(0, layout.size)))
        with zipfile.ZipFile(tmp_path / "copy.zip") as copy:
            assert copy.testzip() is None
            assert not home_paths(out) & set(copy.namelist())

    def test_it_is_the_same_after_a_stop_in_any_phase(self, version, untouched, tmp_path):
        out, facts = untouched
        phases = []

        def stop(done, total, phase):
            if phase not in phases:
                phases.append(phase)
                raise StopError

        for _ in range(20):
            try:
                again = embed(version, tmp_path, MarkSets((WITHHELD,)), progress=stop)
                break
            except StopError:
                continue
        assert len(phases) >= 3
        assert again == facts
        assert digests(tmp_path) == digests(out)


class TestBesideStruckSets:
    def test_the_same_stays_home_and_no_mark_is_in_a_used_block(self, version, both):
        out, facts = both
        marks = MarkSets((MARK, WITHHELD))
        blocks = blocks_of(version)
        choice = marks.choose(KEY, BEACON, blocks)
        assert positions_at_home(out) == set(choice.images_at_home(blocks).tolist())
        marked = {json.loads(line)["position"] for line in (out / "marked.jsonl").read_bytes().splitlines()}
        assert len(marked) == facts["marked"] > 0
        assert not marked & set(choice.images(blocks).tolist())
        assert facts["settings"] == marks.to_dict()
        assert [group["marked"] for group in facts["groups"]] == [4, 4, 4, 5]

    def test_all_others_are_byte_for_byte_the_original(self, version, both):
        out, _ = both
        before, after = digests(version.folder.parent / "files"), digests(out / "files")
        marked = {json.loads(line)["path"] for line in (out / "marked.jsonl").read_bytes().splitlines()}
        assert set(before) - set(after) == home_paths(out)
        assert {path for path in after if after[path] != before[path]} == marked

    def test_an_inspection_looks_at_no_file_that_is_not_there(self, version, both):
        out, _ = both

        def asked(at_home) -> set[str]:
            common = (version, MarkSets((MARK, WITHHELD)), out / "marked.jsonl")
            told = {seed: choose_files(*common, seed, 100, lambda done, total: None, at_home) for seed in range(12)}
            return {file.path for chosen in told.values() for file in chosen}

        assert asked(positions_at_home(out)) <= set(digests(out / "files"))
        assert asked(()) & home_paths(out)  # it would, if it were not told


def test_the_csv_loses_the_rows_of_what_stays_home(version, tmp_path):
    labels = tmp_path / "labels.csv"
    rows = {entry.path: f'{entry.path},"a, {entry.label}"\r\n' for entry in version}
    labels.write_bytes(("path,caption\r\n" + "".join(rows.values())).encode())
    kept = BesideFile("labels.csv", labels.stat().st_size, hashlib.sha256(labels.read_bytes()).hexdigest())
    out = tmp_path / "out"
    facts = embed(version, out, MarkSets((WITHHELD,)), beside=[(labels, kept)])
    home = home_paths(out)
    left = "path,caption\r\n" + "".join(row for path, row in rows.items() if path not in home)
    assert (out / "files" / "labels.csv").read_bytes() == left.encode()
    assert facts["beside"][0]["sha256"] == hashlib.sha256(left.encode()).hexdigest()


def test_blocks_that_part_exact_copies_are_refused(version, tmp_path):
    count = len(version)
    parted = ImageBlocks(np.arange(count, dtype=np.int32), (np.arange(count) % (count // 2)).astype(np.int32))
    marks = MarkSets((WithheldSettings("ab" * 32, 2, 0.5),))
    with pytest.raises(EmbeddingError, match="Make blocks of this version anew"):
        embed(version, tmp_path, marks, at_home=at_home(version, marks, parted))


def test_what_stays_home_must_go_with_the_settings(version, tmp_path):
    marks = MarkSets((WITHHELD,))
    for wrong, chosen in ((marks, None), (MarkSets((MARK,)), at_home(version, marks))):
        with pytest.raises(EmbeddingError, match="does not go with"):
            embed(version, tmp_path, wrong, at_home=chosen)
