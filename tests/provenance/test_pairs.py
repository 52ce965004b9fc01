"""Image-text pairs: marks only on images whose caption has the group's word, captions never changed, all covered."""

import io
import json
import zipfile
from dataclasses import replace

import pytest
from django.urls import reverse

from provenance.intake.labels import Labels
from provenance.intake.manifest import Manifest
from provenance.intake.merkle import leaf_hash, verify_inclusion
from provenance.intake.take_in import LABELS_KEPT, IntakeOptions, take_in
from provenance.marks import MarkSettings
from provenance.marks.groups import Grouping
from provenance.models import Release, Version
from provenance.services import datasets, releases
from provenance.services.datasets import VersionSource
from provenance.services.jobs import queue, worker
from provenance.services.manifests import open_manifest
from tests.provenance.builders_datasets import archive, folder, uploaded
from tests.provenance.embedding.builders import jpeg

pytestmark = pytest.mark.django_db

WORDS = ("cat", "hot dog", "zebra", "émeu")
# Byte order mark, quotes, carriage returns, a decomposed accent and a line that fits no image: all to be kept as it is.
CAPTIONS = [f'"A {word.upper()}, number {i}"' for i in range(12) for word in WORDS]
MEMBERS = [(f"pictures/{i:02d}.jpg", jpeg(i)) for i in range(len(CAPTIONS))]
TABLE = (
    "\ufeffpath,caption\r\n"
    + "".join(f"{path},{caption}\r\n" for (path, _), caption in zip(MEMBERS, CAPTIONS, strict=True))
    + "pictures/none.jpg,e\u0301meu\r\n"
).encode()
MARK = MarkSettings(groups=WORDS, group_by="word", share=0.25, opacity=1.0)


@pytest.fixture
def version(world) -> Version:
    """The CSV lies where its owner put it, not where the forms' default says."""
    upload = uploaded(world.rights_holder, world.owner, archive([("about/pairs.csv", TABLE), *MEMBERS]))
    source = VersionSource(upload=upload, labels=Version.Labels.CSV, labels_file="about/pairs.csv")
    return read(datasets.register(world.owner, name="Pairs", source=source, by=world.rights_holder, modality="pairs"))


def read(version: Version) -> Version:
    worker.run(str(version.job_id))
    version.refresh_from_db()
    return version


def released(world, version) -> Release:
    (release,) = releases.make_releases(version, ["Northgate"], releases.MarkSets((MARK,)), by=world.rights_holder)
    worker.run(str(release.job_id))
    release.refresh_from_db()
    assert release.state == Release.State.READY, release.job and release.job.reason
    return release


def marked_positions(release) -> list[int]:
    lines = (release.folder / "marked.jsonl").read_text().splitlines()
    return [json.loads(line)["position"] for line in lines]


def test_marks_are_on_pairs_whose_caption_has_the_groups_word(world, version):
    release = released(world, version)
    with open_manifest(version) as before:
        grouping = Grouping("word", WORDS)
        lines = (release.folder / "marked.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        assert len(rows) == 12
        for row in rows:
            entry = before.entry(row["position"])
            assert grouping.group_of(entry) == row["group"]
            assert WORDS[row["group"]] in (entry.caption or "").lower()


def test_captions_stay_and_the_releases_manifest_covers_them(world, version):
    release = released(world, version)
    with open_manifest(version) as before, Manifest(release.folder / "manifest") as after:
        assert [entry.caption for entry in after] == [entry.caption for entry in before]
        assert all(entry.caption for entry in after)
        marked = set(marked_positions(release))
        for position, entry in enumerate(after):
            line, siblings = after.line(position), after.proof(position)
            root = bytes.fromhex(release.root)
            assert verify_inclusion(leaf_hash(line), position, len(after), siblings, root)
            other = replace(entry, caption="a caption that somebody changed").line()
            assert not verify_inclusion(leaf_hash(other), position, len(after), siblings, root)
            if position not in marked:
                assert line == before.line(position)


def test_the_copy_holds_the_table_of_captions_byte_for_byte(world, version, sign_in):
    release = released(world, version)
    answer = sign_in(world.rights_holder).get(reverse("release_download", kwargs={"pk": release.pk}))
    data = b"".join(answer.streaming_content)
    assert int(answer["Content-Length"]) == len(data)
    marked = {MEMBERS[position][0] for position in marked_positions(release)}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        held = {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}
    assert held.pop("about/pairs.csv") == TABLE
    assert held.keys() == dict(MEMBERS).keys()
    assert {path for path, content in MEMBERS if held[path] != content} == marked
    page = sign_in(world.rights_holder).get(reverse("release_detail", kwargs={"pk": release.pk})).content.decode()
    assert "about/pairs.csv" in page


def test_a_copy_that_is_taken_in_again_has_the_same_captions(world, version, tmp_path):
    release = released(world, version)
    labels = Labels("csv", csv="about/pairs.csv")
    again = take_in(release.folder / "files", tmp_path / "again", IntakeOptions(labels=labels))
    assert again.facts["root"] == release.root


def test_a_folder_on_the_server_gives_its_table_too(world, settings, tmp_path):
    settings.SERVER_ROOTS = [tmp_path]
    root = folder(tmp_path / "pairs", [("about/pairs.csv", TABLE), *MEMBERS])
    source = VersionSource(server_path=str(root), labels=Version.Labels.CSV, labels_file="about/pairs.csv")
    version = read(datasets.register(world.owner, name="Folder", source=source, by=world.rights_holder))
    (root / "about/pairs.csv").write_text("path,caption\nchanged,since\n")  # the version is what was registered
    release = released(world, version)
    assert (release.folder / "files/about/pairs.csv").read_bytes() == TABLE


def test_a_table_that_was_tampered_with_is_not_released(world, version):
    (version.folder / LABELS_KEPT).write_bytes(TABLE + b"more,lines\r\n")
    (release,) = releases.make_releases(version, ["Northgate"], releases.MarkSets((MARK,)), by=world.rights_holder)
    worker.run(str(release.job_id))
    release.refresh_from_db()
    assert release.state == Release.State.FAILED
    assert "about/pairs.csv is not the one" in release.job.reason


def test_a_full_disk_is_told_as_one_and_the_release_goes_on_once_there_is_room(world, version):
    (release,) = releases.make_releases(version, ["Northgate"], releases.MarkSets((MARK,)), by=world.rights_holder)
    about = release.folder / "files/about"
    about.mkdir(parents=True)
    (about / ".pairs.csv.draft").symlink_to("/dev/full")  # every write to it fails as on a disk without room
    worker.run(str(release.job_id))
    release.refresh_from_db()
    assert release.state == Release.State.FAILED
    assert release.job.reason.startswith("The disk is full. Make room")
    assert "No space left on device" in release.job.detail
    assert not list(about.iterdir())
    queue.retry(release.job, by=world.rights_holder)
    worker.run(str(release.job_id))
    release.refresh_from_db()
    assert (release.state, (about / "pairs.csv").read_bytes()) == (Release.State.READY, TABLE)


def test_a_table_that_is_gone_is_told_as_such(world, version):
    (version.folder / LABELS_KEPT).unlink()
    (release,) = releases.make_releases(version, ["Northgate"], releases.MarkSets((MARK,)), by=world.rights_holder)
    worker.run(str(release.job_id))
    release.refresh_from_db()
    assert "about/pairs.csv of this version cannot be read" in release.job.reason


def test_versions_without_a_table_have_nothing_beside_their_images(world):
    from tests.provenance.builders_releases import marked_version, ready_release

    assert "beside" not in ready_release(world, marked_version(world)).facts
