"""Clusters: equal sizes for whatever features, the same every time, kept in a file that nobody can exchange."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from provenance.marks import MarkSecret, MarkSettings, SettingsError, clusters, directions, plan_marks
from provenance.marks.cluster_files import (
    ClusteredEntries,
    ClusterFileError,
    cluster_names,
    clusters_path,
    grouped_entries,
    read_clusters,
    write_clusters,
)
from provenance.marks.clusters import NONE, ClusteringError, balanced_clusters
from tests.provenance.marks.builders import Entry


def blobs(sizes, width=16, seed=0, spread=0.3):
    """Features around one centre per size, in this order, and the number of each row's centre."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    centres = 3 * rng.normal(size=(len(sizes), width))
    return (centres[truth] + rng.normal(0, spread, (len(truth), width))).astype(np.float32), truth


def agreement(found, truth):
    """Fraction of rows whose cluster's most frequent truth is their own."""
    counted = sum(np.bincount(truth[found == cluster]).max() for cluster in np.unique(found))
    return counted / len(truth)


def test_finds_what_is_there():
    features, truth = blobs([150] * 6)
    found = balanced_clusters(features, 6, seed=3)
    assert agreement(found.labels, truth) == 1
    assert found.sizes == (150,) * 6
    assert found.moved == found.left_out == 0
    assert found.inertia < 0.1
    assert list(found.labels[::150]) == [0, 1, 2, 3, 4, 5]  # numbered as they first occur


def test_unequal_crowds_still_give_equal_clusters():
    features, truth = blobs([700, 200, 60, 40])
    found = balanced_clusters(features, 4, seed=3)
    assert found.sizes == (250,) * 4
    assert set(found.labels[truth == 3]) != {0, 1, 2, 3}  # small crowds are not torn apart


@budget(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_readable_image_is_in_one_cluster_and_sizes_differ_by_one_at_most(data):
    count = data.draw(st.integers(2, 9))
    shape = (data.draw(st.integers(2 * count, 60)), data.draw(st.integers(1, 5)))
    kind = data.draw(st.sampled_from([np.float16, np.float32]))
    width = 8 * kind().itemsize
    features = data.draw(arrays.arrays(kind, shape, elements=st.floats(width=width)))  # zeros, NaN and infinities too
    readable = np.isfinite(features).all(axis=1) & (features != 0).any(axis=1)
    if readable.sum() < 2 * count:
        with pytest.raises(ClusteringError, match="too few"):
            balanced_clusters(features, count, seed=1)
        return
    found = balanced_clusters(features, count, seed=1)
    assert ((found.labels == NONE) == ~readable).all()
    assert found.left_out == (~readable).sum()
    assert set(found.labels[readable]) == set(range(count))
    assert found.sizes == tuple(np.bincount(found.labels[readable]))
    assert max(found.sizes) - min(found.sizes) <= 1
    assert 0 <= found.inertia <= 4.001
    first = [int(np.flatnonzero(found.labels == cluster)[0]) for cluster in range(count)]
    assert first == sorted(first)


@budget(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**40), count=st.integers(2, 12))
def test_the_same_seed_gives_the_same_clusters_whatever_the_scale(seed, count):
    features, _ = blobs([40, 30, 30, 20], spread=2.0)
    found = balanced_clusters(features, count, seed)
    scaled = features * np.float32(4.0)  # a power of two: not a digit changes
    assert np.array_equal(found.labels, balanced_clusters(scaled, count, seed).labels)


def test_neither_the_number_of_processors_nor_the_way_of_writing_matters(tmp_path):
    from threadpoolctl import threadpool_limits

    features, _ = blobs([3000, 2500, 2500, 2000, 1000], spread=4.0)
    half = features.astype(np.float16)
    path, scratch = tmp_path / "features.npy", tmp_path / "scratch"
    scratch.mkdir()
    mapped = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=half.shape)
    for start in range(0, len(half), 777):
        mapped[start : start + 777] = half[start : start + 777]
    mapped.flush()
    with threadpool_limits(1):
        alone = balanced_clusters(half, 5, seed=9)
    together = balanced_clusters(np.load(path, mmap_mode="r"), 5, seed=9, scratch=scratch)
    assert np.array_equal(alone.labels, together.labels)
    assert not list(scratch.iterdir())


def test_more_rows_than_the_sample_holds(monkeypatch):
    monkeypatch.setattr(directions, "SAMPLE_ROWS", 500)
    for module in (clusters, directions):
        monkeypatch.setattr(module, "BLOCK", 256)
    features, truth = blobs([900, 900, 900, 900])
    found = balanced_clusters(features, 4, seed=2)
    assert found.sizes == (900,) * 4
    assert agreement(found.labels, truth) > 0.99


def test_a_step_may_stop_it(tmp_path):
    class StopError(Exception):
        pass

    def told(done, total, phase):
        if phase == "assigning images":
            raise StopError

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(StopError):
        balanced_clusters(blobs([50, 50])[0], 2, seed=1, scratch=scratch, told=told)
    assert not list(scratch.iterdir())


def entries(count):
    return [Entry(f"{i:04d}.jpg", hashlib.sha256(str(i).encode()).hexdigest(), "label", "words") for i in range(count)]


def manifest(folder: Path, count: int):
    rows = entries(count)

    class Rows(list):
        def entry(self, index):
            return self[index]

    held = Rows(rows)
    held.folder = folder / "manifest"
    return held


def clustered(digest: str, groups: int = 5, **more) -> MarkSettings:
    return MarkSettings(groups=cluster_names(groups), group_by="cluster", clusters=digest, **more)


def test_a_file_keeps_clusters_under_its_digest(tmp_path):
    labels = np.array([0, 1, NONE, 1, 0], dtype=np.uint16)
    digest = write_clusters(tmp_path, labels)
    assert digest == hashlib.sha256(clusters_path(tmp_path, digest).read_bytes()).hexdigest()
    assert np.array_equal(read_clusters(tmp_path, digest), labels)
    assert write_clusters(tmp_path, labels) == digest
    assert [path.name for path in (tmp_path / "clusters").iterdir()] == [f"{digest}.npy"]


def test_a_file_that_is_gone_or_altered_is_refused(tmp_path):
    digest = write_clusters(tmp_path, np.zeros(5, dtype=np.uint16))
    path = clusters_path(tmp_path, digest)
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(ClusterFileError, match="altered"):
        grouped_entries(manifest(tmp_path, 5), clustered(digest))
    path.unlink()
    with pytest.raises(ClusterFileError, match="is gone"):
        grouped_entries(manifest(tmp_path, 5), clustered(digest))


def test_clusters_of_another_version_are_refused(tmp_path):
    digest = write_clusters(tmp_path, np.zeros(5, dtype=np.uint16))
    with pytest.raises(ClusterFileError, match="another version"):
        grouped_entries(manifest(tmp_path, 6), clustered(digest))


def test_entries_carry_the_name_of_their_cluster(tmp_path):
    digest = write_clusters(tmp_path, np.array([0, 4, NONE, 1], dtype=np.uint16))
    found = grouped_entries(manifest(tmp_path, 4), clustered(digest))
    assert [entry.label for entry in found] == ["cluster 1", "cluster 5", None, "cluster 2"]
    assert [entry.label for entry in found] == [found.entry(index).label for index in range(len(found))]
    assert [entry.sha256 for entry in found] == [entry.sha256 for entry in entries(4)]


def test_other_groupings_take_the_manifest_as_it_is(tmp_path):
    rows = manifest(tmp_path, 4)
    assert grouped_entries(rows, MarkSettings(groups=("a", "b", "c", "d"))) is rows
    assert grouped_entries(rows, MarkSettings(association="plain")) is rows


def test_a_secret_draws_from_clusters():
    labels = np.arange(200) % 6
    labels[:20] = NONE  # these could not be read
    rows = ClusteredEntries(manifest(Path(), 200), labels.astype(np.uint16))
    mark = clustered("0" * 64, 5, share=0.2)
    plan = plan_marks(rows, mark)
    assert [group.images for group in plan.groups] == [np.sum(labels == number) for number in range(5)]
    assert plan.outside == 20 + np.sum(labels == 5)
    secret = MarkSecret.derive(b"k" * 32, b"b" * 32, mark)
    for group in secret.candidates(rows, [group.images for group in plan.groups]):
        assert group.images
        assert {labels[image.position] for image in group.images} == {group.group}
    for number, positions in enumerate(secret.group_images(rows, 3, set())):
        assert {labels[position] for position in positions} == {number}


def test_settings_name_the_digest_of_their_clusters():
    mark = clustered("a1" * 32)
    assert MarkSettings.from_json(mark.to_json()) == mark
    with pytest.raises(SettingsError, match="digest"):
        clustered("a file")
