"""A release of which pictures come in one of two versions: either could be there, and everything else is as it was."""

import hashlib
import io
import json

import numpy as np
import pytest
from PIL import Image

from provenance.embedding.errors import EmbeddingError, NotMarkableError
from provenance.embedding.release import embed_release
from provenance.embedding.versions import both_versions, read_versions, versions_again
from provenance.inspection.choosing import choose_files
from provenance.inspection.files import structural_features
from provenance.intake.manifest import Manifest
from provenance.marks import MarkSets, MarkSettings, VersionsSettings
from tests.provenance.embedding.builders import BEACON, GROUPS, as_bytes, jpeg, lossy_webp, picture, write_version

KEY = bytes([7]) * 32
VERSIONS = VersionsSettings(0.5)
MARK = MarkSettings(groups=GROUPS, share=0.2, opacity=0.8)


class StopError(Exception):
    pass


def quiet(done: int, total: int, phase: str) -> None:
    pass


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    """96 pictures in four classes, a few of them PNG or WebP; every sixth has an exact copy in another class."""
    files = {f"{group}/{i:02d}.jpg": jpeg(100 * g + i) for g, group in enumerate(GROUPS) for i in range(24)}
    files |= {f"dog/copy-{i}.jpg": files[f"ant/{i:02d}.jpg"] for i in range(0, 24, 6)}
    files |= {f"bee/{i}.png": as_bytes(Image.fromarray(picture(i)), "PNG") for i in range(6)}
    files |= {f"cow/{i}.webp": lossy_webp(i) for i in range(6)}
    return write_version(tmp_path_factory.mktemp("versions") / "version", files)


def embed(version, out, marks: MarkSets, **changes):
    arguments = {"progress": quiet, "workers": 2, "owned": True, "versions": marks.choose_versions(KEY, BEACON)}
    secrets = marks.derive(KEY, BEACON)
    files = version.folder.parent / "files"
    return embed_release(version, files, out, secrets, marks, structural_features, **(arguments | changes))


@pytest.fixture(scope="module")
def half(version, tmp_path_factory):
    out = tmp_path_factory.mktemp("half")
    return out, embed(version, out, MarkSets((VERSIONS,)))


def contents(folder) -> dict[str, str]:
    with Manifest(folder) as manifest:
        return {entry.path: entry.sha256 for entry in manifest}


class TestCopy:
    def test_every_listed_file_is_the_published_version_and_no_other_is_changed(self, version, half):
        out, _ = half
        secret, rows = MarkSets((VERSIONS,)).choose_versions(KEY, BEACON), list(read_versions(out))
        before, after = contents(version.folder), contents(out / "manifest")
        assert {path for path in before if before[path] != after[path]} == {row.path for row in rows}
        for row in rows:
            source = (version.folder.parent / "files" / row.path).read_bytes()
            pair = versions_again(source, VERSIONS, row.sha256, drop_claims=False)
            written = (out / "files" / row.path).read_bytes()
            assert written == pair[secret.published(row.sha256)].data
            assert written != pair[secret.home(row.sha256)].data
            assert after[row.path] == row.written_sha256 == hashlib.sha256(written).hexdigest()

    def test_versions_lie_on_either_side_of_their_source(self, version):
        file = as_bytes(Image.fromarray(picture(1)), "PNG")
        source = np.asarray(Image.open(io.BytesIO(file))).astype(float)
        pair = both_versions(file, VERSIONS, hashlib.sha256(file).hexdigest())
        changes = [np.asarray(Image.open(io.BytesIO(one.data))).astype(float) - source for one in pair]
        assert np.corrcoef(changes[0].ravel(), changes[1].ravel())[0, 1] < -0.95
        assert all(abs(10 * np.log10(255**2 / (change**2).mean()) - 34) < 1 for change in changes)

    def test_exact_copies_are_written_alike_and_count_once(self, version, half):
        out, facts = half
        rows = list(read_versions(out))
        written = {}
        for row in rows:
            assert written.setdefault(row.sha256, row.written_sha256) == row.written_sha256
        assert facts["versions"]["blocks"] == len(written) <= facts["versions"]["images"] == len(rows)
        assert facts["marked"] == 0

    def test_which_pictures_come_in_two_versions_does_not_hang_on_the_choice(self, version, tmp_path, half):
        """Else a list of these pictures would tell something of the choice."""
        out, facts = half
        assert facts["versions"]["passed_over"]  # the lossy WebPs among the candidates

        class Other:
            settings = VERSIONS

            def __init__(self, secret) -> None:
                self._secret = secret
                self.candidates = secret.candidates

            def published(self, sha256):
                return self._secret.home(sha256)

        other = Other(MarkSets((VERSIONS,)).choose_versions(KEY, BEACON))
        embed(version, tmp_path, MarkSets((VERSIONS,)), versions=other)
        here, there = ({row.path: row for row in read_versions(folder)} for folder in (out, tmp_path))
        assert set(here) == set(there)
        assert all(here[path].published == 1 - there[path].published for path in here)

    def test_facts_name_nothing(self, half):
        _, facts = half
        assert ".jpg" not in json.dumps(facts)
        assert 33 < facts["versions"]["psnr"]["median"] < 35.5
        assert facts["settings"] == VERSIONS.to_dict()


class TestBeside:
    def test_struck_sets_mark_other_images(self, version, tmp_path):
        marks = MarkSets((MARK, VersionsSettings(0.25)))
        facts = embed(version, tmp_path, marks)
        marked = {json.loads(line)["position"] for line in (tmp_path / "marked.jsonl").read_bytes().splitlines()}
        versions = {row.position for row in read_versions(tmp_path)}
        assert marked
        assert versions
        assert not marked & versions
        assert facts["marked"] == len(marked)
        chosen = choose_files(
            version, marks, tmp_path / "marked.jsonl", 1, 100, lambda done, total: None, in_versions=versions
        )
        assert sum(one.marked for one in chosen) == len(marked | versions)
        assert len(chosen) > len(marked | versions)

    def test_a_secret_for_other_settings_is_refused(self, version, tmp_path):
        with pytest.raises(EmbeddingError, match="The versions do not go with"):
            embed(version, tmp_path, MarkSets((VERSIONS,)), versions=None)
        other = MarkSets((VersionsSettings(0.7),)).choose_versions(KEY, BEACON)
        with pytest.raises(EmbeddingError, match="The versions do not go with"):
            embed(version, tmp_path, MarkSets((VERSIONS,)), versions=other)


class TestInterrupted:
    def test_a_killed_run_goes_on_and_writes_the_same(self, version, tmp_path, half):
        calls = 0

        def stop(done: int, total: int, phase: str) -> None:
            nonlocal calls
            calls += phase == "making versions"
            if calls == 2:
                raise StopError

        with pytest.raises(StopError):
            embed(version, tmp_path, MarkSets((VERSIONS,)), progress=stop)
        assert embed(version, tmp_path, MarkSets((VERSIONS,))) == half[1]
        assert (tmp_path / "versions.jsonl").read_bytes() == (half[0] / "versions.jsonl").read_bytes()
        assert contents(tmp_path / "manifest") == contents(half[0] / "manifest")


class TestRefused:
    def test_too_few_pictures_that_can_be_written(self, tmp_path):
        version = write_version(tmp_path / "version", {f"ant/{i:02d}.webp": lossy_webp(i) for i in range(30)})
        with pytest.raises(EmbeddingError, match="Fewer than 20 pictures can be written in both versions"):
            embed(version, tmp_path / "out", MarkSets((VersionsSettings(),)))

    def test_a_changed_source_is_told(self):
        with pytest.raises(EmbeddingError, match="A source file was changed"):
            versions_again(jpeg(1), VERSIONS, hashlib.sha256(jpeg(2)).hexdigest(), drop_claims=False)
        with pytest.raises(NotMarkableError):
            both_versions(lossy_webp(1), VERSIONS, hashlib.sha256(lossy_webp(1)).hexdigest())

    def test_an_altered_list_is_told(self, tmp_path):
        (tmp_path / "versions.jsonl").write_bytes(b'{"position": 1}\n')
        with pytest.raises(EmbeddingError, match="list of versions was altered"):
            list(read_versions(tmp_path))
