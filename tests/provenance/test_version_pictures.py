"""Which pictures come in one of two versions, by what their files are, and what an audit checks of a copy."""

import hashlib
import shutil

import numpy as np
import pytest
from PIL import Image

from provenance.embedding.errors import EmbeddingError
from provenance.embedding.versions import read_versions
from provenance.intake.manifest import Manifest
from provenance.intake.writing import ManifestWriter
from provenance.marks import MarkSets, VersionsSettings
from provenance.models import Release, Version
from provenance.services import releases
from provenance.services.jobs import worker
from provenance.services.version_choices import published_versions
from tests.provenance.builders_datasets import ready
from tests.provenance.builders_releases import marked_version
from tests.provenance.builders_withheld import made
from tests.provenance.embedding.builders import as_bytes, jpeg, picture, tiny_jpeg
from tests.provenance.embedding.carried.builders import with_segments
from tests.provenance.embedding.carried.test_claims import JUMBF
from tests.world import World

pytestmark = pytest.mark.django_db
VERSIONS = MarkSets((VersionsSettings(),))


@pytest.fixture
def version(world):
    return marked_version(world, per_group=12)


def nothing() -> None:
    pass


def credited(seed: int) -> bytes:
    return with_segments(jpeg(seed), (0xEB, JUMBF))


def turned(seed: int) -> bytes:
    exif = Image.Exif()
    exif[274] = 6
    return jpeg(seed, exif=exif)


def odd_files() -> dict[str, bytes]:
    """Files of many kinds, some of which can come in no two versions."""
    rgb = [Image.fromarray(picture(seed)) for seed in range(500, 510)]
    grey16 = Image.fromarray(picture(511, channels=1).astype(np.uint16) * 257)
    files = {f"plain-{n:02d}.jpg": jpeg(n) for n in range(24)}
    files |= {
        "rgb.png": as_bytes(rgb[0], "PNG"),
        "rgba.png": as_bytes(rgb[1].convert("RGBA"), "PNG"),
        "palette.png": as_bytes(rgb[2].quantize(16), "PNG"),
        "grey.png": as_bytes(rgb[3].convert("L"), "PNG"),
        "grey-16.png": as_bytes(grey16, "PNG"),
        "lossless.webp": as_bytes(rgb[4], "WEBP", lossless=True),
        "lossy.webp": as_bytes(rgb[5], "WEBP", quality=80),
        "cmyk.jpg": as_bytes(rgb[6].convert("CMYK"), quality=95),
        "grey.jpg": as_bytes(rgb[7].convert("L"), quality=95),
        "rgb.tif": as_bytes(rgb[8], "TIFF"),
        "white.png": as_bytes(Image.new("RGB", (48, 40), "white"), "PNG"),
        "turned.jpg": turned(12345),
        "tiny.jpg": tiny_jpeg(3),
        "copy-of-00.jpg": jpeg(0),
        "credited-01.jpg": credited(1),
        "credited-90.jpg": credited(90),
    }
    return files


def test_a_source_that_is_gone_is_told_without_its_name(world, version, tmp_path):
    release = made(world, version, VERSIONS, outlets="")
    chosen = published_versions(release)
    row = next(row for row in read_versions(release.folder) if row.position == chosen.positions[7])
    (version.files_folder / row.path).unlink()
    with pytest.raises(EmbeddingError, match="A source file is gone") as told:
        chosen.files(tmp_path / "made", nothing)
    assert row.path not in f"{told.value.sentence} {told.value.detail}"
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__


def test_a_picture_left_out_of_the_copy_ends_the_audit_before_it_asks(world, version, tmp_path):
    """An owner who left out those that an innocent model would hold against him would find anybody guilty."""
    release = made(world, version, VERSIONS, outlets="")
    left = published_versions(release).positions[:5].tolist()
    without_versions_of(release, left)
    chosen = published_versions(release)
    assert len(chosen) == 43
    with pytest.raises(EmbeddingError, match="can be written in either version"):
        chosen.files(tmp_path / "made", nothing)
    assert not list((tmp_path / "made").iterdir())
    with pytest.raises(EmbeddingError, match="can be written in either version"):
        chosen.of(np.arange(20)).files(tmp_path / "part", nothing)


def test_pictures_that_cannot_be_written_in_both_are_none_of_it(world, tmp_path):
    version = ready(world, members=list(odd_files().items()), labels=Version.Labels.NONE)
    for changes in ({}, {"drop_claims": True}):
        release = ordered(world, version, **changes)
        chosen = published_versions(release)
        assert 30 <= len(chosen) == release.facts["versions"]["blocks"] < version.file_count
        assert len(chosen.files(tmp_path / f"made-{bool(changes)}", nothing)) == 2 * len(chosen)


def test_a_run_that_was_stopped_makes_the_same_files_again(world, version, tmp_path):
    chosen = published_versions(made(world, version, VERSIONS, outlets=""))
    steps = iter(range(5))
    with pytest.raises(StopIteration):
        chosen.files(tmp_path / "made", lambda: next(steps))
    again, whole = (chosen.files(tmp_path / name, nothing) for name in ("made", "whole"))
    assert [sha256 for _, sha256 in again] == [sha256 for _, sha256 in whole]
    for (one, sha256), (other, _) in zip(again, whole, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert hashlib.sha256(one.read_bytes()).hexdigest() == sha256


def test_exact_copies_are_told_as_what_makes_pictures_too_few(world):
    version = marked_version(world, per_group=12, copies=1)
    (release,) = releases.make_releases(
        version, ["North"], MarkSets((VersionsSettings(0.25),)), by=world.rights_holder, outlets=""
    )
    worker.run(str(release.job_id))
    release.refresh_from_db()
    assert release.state == Release.State.FAILED
    assert "are fewer than 20 pictures, since exact copies are one picture" in release.job.reason
    assert "decibels" not in release.job.reason


def ordered(world: World, version: Version, **changes) -> Release:
    (release,) = releases.make_releases(version, ["North"], VERSIONS, by=world.rights_holder, **changes)
    worker.run(str(release.job_id))
    release.refresh_from_db()
    assert release.state == "ready", release.job.reason
    return release


def without_versions_of(release: Release, left: list[int]) -> None:
    """The copy as an owner with software of his own would have put it on record: these pictures are as they were."""
    with Manifest(release.version.manifest_folder) as version, Manifest(release.folder / "manifest") as copy:
        originals, entries = list(version), list(copy)
    entries = [originals[place] if place in left else entry for place, entry in enumerate(entries)]
    shutil.rmtree(release.folder / "manifest")
    writer = ManifestWriter(release.folder / "manifest")
    writer.write_block(0, [(entry, 0, 0) for entry in entries])
    with writer.finish(1) as written:
        release.root = written.root
    release.save(update_fields=["root"])
