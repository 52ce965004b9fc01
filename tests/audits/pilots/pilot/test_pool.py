"""Which images a pilot learns from, and that it marks and withholds as many as the release would."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.pilots.pilot.copies import strike, withhold
from audits.pilots.pilot.pool import choose, counts_of, struck_in, withheld_in
from audits.pilots.pilot.settings import PilotError
from provenance.marks import ImageBlocks, WithheldSettings
from provenance.marks.blocking_file import NO_BLOCK
from tests.audits.pilots.pilot import builders
from tests.audits.pilots.pilot.builders import AT_HOME, STRUCK, TINY, blocks_of_four

SEED = bytes(range(32))


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return builders.pool(tmp_path_factory.mktemp("version"))


@given(st.integers(40, 600), st.integers(32, 600), st.binary(min_size=32, max_size=32))
def test_nothing_that_is_kept_apart_is_learnt(images, most, seed):
    chosen = choose(images, most, seed)
    assert not np.intersect1d(chosen.learnt, chosen.apart).size
    assert 32 <= len(chosen.learnt) <= most
    assert len(chosen.apart) == min(1000, images // 5)
    assert (np.diff(chosen.learnt) > 0).all()


@given(st.integers(32, 200), st.floats(0.02, 0.25), st.binary(min_size=32, max_size=32), st.integers(1, 4))
def test_blocks_are_taken_whole_and_as_many_as_the_release_would_use_where_they_fit(most, share, seed, per_unit):
    units = np.repeat(np.arange(60), per_unit)
    blocks = ImageBlocks(units.astype(np.int32), np.where(units < 48, units // 4, NO_BLOCK).astype(np.int32))
    settings = WithheldSettings("0" * 64, 4, share)
    images = len(units)
    if images < 40:
        return
    chosen = choose(images, most, seed, blocks, [settings])
    wanted = settings.blocks_used(images, blocks.alternatives.size, blocks.files)
    room = min(most, images - images // 5)
    assert chosen.blocks is not None
    assert chosen.blocks.blocks == min(wanted, room // (4 * per_unit))
    inside = chosen.learnt[chosen.blocks.block_of != NO_BLOCK]
    kept = {tuple(np.flatnonzero(blocks.block_of == block)) for block in np.unique(blocks.block_of[inside])}
    assert sorted(place for block in kept for place in block) == inside.tolist()


def test_too_few_images_are_refused():
    with pytest.raises(PilotError, match="too few images"):
        choose(39, 100, SEED)


def test_images_are_those_of_the_files_and_labels_those_of_the_folders(pool):
    assert pool.images.shape == (52, 16, 16, 3)
    assert pool.apart.shape == (12, 16, 16, 3)
    classes = sorted({entry.label for entry in pool.entries})
    assert [classes[label] for label in pool.labels] == [entry.label for entry in pool.entries]
    assert pool.captions[0] == f"a {pool.entries[0].label}"
    assert pool.counts[0] == (16, 16, 16, 16)


def test_a_version_without_classes_has_neither_labels_nor_captions(tmp_path):
    found = builders.pool(tmp_path, replace(TINY, proposals=(AT_HOME,)), labelled=False)
    assert found.labels is None
    assert found.apart_labels is None
    assert found.captions is None


def test_as_many_images_are_marked_as_of_the_whole_version(pool, tmp_path):
    scaled = struck_in(pool, STRUCK.settings, pool.counts[0])
    assert scaled.wanted == 4 * 3
    counts = counts_of(pool.entries, scaled.settings)
    copy = strike(pool, scaled.settings, counts, SEED, SEED, probes=4, group_images=2, folder=tmp_path)
    assert copy.looks.marked == scaled.there >= scaled.wanted
    changed = np.flatnonzero((copy.images != pool.images).any(axis=(1, 2, 3)))
    assert len(changed) == copy.looks.marked
    assert not set(changed) & ({*copy.probes} | {*copy.group_images})
    assert 0 < copy.looks.ssim < 1
    assert copy.looks.lowest_psnr <= copy.looks.psnr < 40


def test_as_many_units_stay_home_as_of_the_whole_version(pool):
    scaled = withheld_in(pool, AT_HOME.settings, blocks_of_four())
    assert scaled.wanted == scaled.there == 12
    published, choice = withhold(pool, scaled.settings, SEED, SEED)
    assert len(choice) == 12
    assert len(published) == len(pool) - 12
    assert not set(published) & set(choice.positions[choice.home])


def test_a_file_that_changed_is_refused_and_not_named(tmp_path):
    found = builders.pool(tmp_path)
    scaled = struck_in(found, STRUCK.settings, found.counts[0])
    for file in found.files.rglob("*.png"):
        file.write_bytes(b"other")
    counts = counts_of(found.entries, scaled.settings)
    with pytest.raises(PilotError, match="has changed") as refusal:
        strike(found, scaled.settings, counts, SEED, SEED, probes=4, group_images=2, folder=tmp_path)
    assert ".png" not in str(refusal.value)
