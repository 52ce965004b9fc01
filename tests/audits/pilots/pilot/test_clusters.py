"""Groups that are clusters: a pilot on some of a version's images marks these very clusters."""

from dataclasses import replace

import numpy as np
import pytest

from audits.pilots.pilot.copies import strike
from audits.pilots.pilot.pool import counts_of, struck_in
from audits.pilots.pilot.reading import read_pool
from audits.pilots.pilot.settings import PilotError, Proposal
from audits.pilots.pilot.working import Work
from provenance.marks import PRESETS
from provenance.marks.cluster_files import ClusterFileError, cluster_names, write_clusters
from provenance.marks.clusters import NONE
from tests.audits.pilots.pilot import builders
from tests.audits.pilots.pilot.builders import IMAGES, STRUCK, TINY

pytestmark = [pytest.mark.suspect, pytest.mark.long]
NAMES = cluster_names(4)
# Not the classes: those take turns. Two images are in no cluster.
OF_IMAGES = np.array([NONE, NONE, *(number // 16 for number in range(2, IMAGES))], dtype=np.uint16)


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """A version's manifest, its files, and a pilot of its clusters and its classes."""
    manifest, files = builders.version(tmp_path_factory.mktemp("version"), labelled=True)
    digest = write_clusters(manifest.folder.parent, OF_IMAGES)
    clusters = PRESETS["strong"].settings(NAMES, "cluster", clusters=digest, share=0.2)
    settings = replace(TINY, proposals=(Proposal("Clusters", clusters), STRUCK))
    with manifest:
        yield manifest, files, settings


def test_groups_are_the_clusters_of_the_images_that_are_learnt(there):
    manifest, files, settings = there
    pool = read_pool(manifest, files, settings, None)
    mark = settings.proposals[0].struck
    assert pool.counts == ((14, 16, 16, 16), (16, 16, 16, 16))
    own = {entry.path: number for entry, number in zip(manifest, OF_IMAGES.tolist(), strict=True)}
    named = [entry.label for entry in pool.grouped(mark)]
    assert named == [None if own[one.path] == NONE else NAMES[own[one.path]] for one in pool.entries]
    assert pool.grouped(STRUCK.struck) == pool.entries
    assert sum(counts_of(pool.grouped(mark), mark)) == len(pool) - named.count(None)


def test_a_pattern_marks_images_of_its_own_cluster(there, tmp_path):
    manifest, files, settings = there
    pool = read_pool(manifest, files, settings, None)
    scaled = struck_in(pool, settings.proposals[0].struck, pool.counts[0])
    entries = pool.grouped(scaled.settings)
    counts = counts_of(entries, scaled.settings)
    key, beacon = (settings.drawn(what) for what in ("key", "beacon"))
    copy = strike(pool, scaled.settings, counts, key, beacon, probes=4, group_images=2, folder=tmp_path)
    changed = np.flatnonzero((copy.images != pool.images).any(axis=(1, 2, 3)))
    assert len(changed) == copy.looks.marked >= scaled.wanted == 11
    assert {entries[place].label for place in changed} == set(NAMES)
    of_groups = [entries[place].label for place in copy.group_images]
    assert of_groups == [NAMES[group] for group in copy.group_of]


def test_a_whole_pilot_tries_clusters_beside_classes(there, tmp_path):
    manifest, files, settings = there
    found = Work(settings, read_pool(manifest, files, settings, None), None, tmp_path).run()
    for suspect in found.lines[1:]:
        assert set(suspect.levels) == {"features", "soft", "hard"}
    assert (found.lines[1].wanted, found.lines[2].wanted) == (11, 12)


def test_a_cluster_with_too_few_images_in_the_pilot_is_named(there):
    manifest, files, settings = there
    few = np.where(np.arange(IMAGES) < 3, np.uint16(3), np.arange(IMAGES, dtype=np.uint16) % 3).astype(np.uint16)
    digest = write_clusters(manifest.folder.parent, few)
    mark = settings.proposals[0].struck.replace(clusters=digest)
    pool = read_pool(manifest, files, replace(settings, proposals=(Proposal("Few", mark),)), None)
    with pytest.raises(PilotError, match="“cluster 4” has too few images"):
        struck_in(pool, mark, pool.counts[0])


def test_clusters_that_are_gone_are_said_to_be(there):
    manifest, files, settings = there
    mark = settings.proposals[0].struck.replace(clusters="0" * 64)
    with pytest.raises(ClusterFileError, match="backup"):
        read_pool(manifest, files, replace(settings, proposals=(Proposal("Gone", mark),)), None)
