"""The file of units and blocks: what it may hold, and that it is what its name says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from provenance.marks import BlockingFileError, ImageBlocks
from provenance.marks.blocking_file import NO_BLOCK, blocking_path, read_blocking, write_blocking
from tests.provenance.marks.blocking import random_blocks


def image_blocks(units, blocks) -> ImageBlocks:
    return ImageBlocks(np.array(units, dtype=np.int32), np.array(blocks, dtype=np.int32))


@given(seed=st.integers(0, 99), blocks=st.integers(1, 12), size=st.integers(2, 5), outside=st.integers(0, 4))
@budget(max_examples=30, deadline=None)
def test_every_block_holds_its_units_and_every_unit_its_images(seed, blocks, size, outside):
    found = random_blocks(seed, blocks, size, outside=outside)
    assert (found.blocks, found.block_size, found.units) == (blocks, size, blocks * size + outside)
    for block, units in enumerate(found.alternatives):
        images = found.images_of(units)
        assert images.tolist() == np.flatnonzero(found.block_of == block).tolist()
        assert set(found.unit_of[images]) == set(units)
    assert found.files == sum(found.block_of != NO_BLOCK)
    assert found.unit_of[found.first_of_unit].tolist() == list(range(found.units))
    for unit, first in enumerate(found.first_of_unit):
        assert first == found.unit_of.tolist().index(unit)


def test_a_version_may_have_no_block():
    none = image_blocks([0, 1, 0], [NO_BLOCK] * 3)
    assert (none.blocks, none.block_size, none.files, none.units) == (0, 0, 0, 2)


@pytest.mark.parametrize(
    ("units", "blocks", "why"),
    [
        ([], [], "not one of each image"),
        ([0, 1], [0], "not one of each image"),
        ([1, 0], [0, 0], "order in which they come"),
        ([0, 2], [0, 0], "order in which they come"),
        ([0, -1], [0, 0], "order in which they come"),
        ([0, 1, 0], [0, 0, NO_BLOCK], "lies in two blocks"),
        ([0, 1], [-2, -2], "negative"),
        ([0, 1, 2], [0, 0, 1], "differ in size"),
        ([0, 1, 2, 3], [0, 0, 2, 2], "differ in size"),
        ([0, 1], [0, 1], "hold one unit"),
    ],
)
def test_what_no_key_could_choose_from_is_refused(units, blocks, why):
    with pytest.raises(BlockingFileError) as refused:
        image_blocks(units, blocks)
    assert why in refused.value.detail


def test_what_is_written_is_read(tmp_path):
    blocks = random_blocks(3, 7, 4)
    digest = write_blocking(tmp_path, blocks)
    found = read_blocking(tmp_path, digest, len(blocks))
    assert np.array_equal(found.unit_of, blocks.unit_of)
    assert np.array_equal(found.block_of, blocks.block_of)
    assert write_blocking(tmp_path, found) == digest


def test_a_file_that_is_gone_altered_or_another_versions_is_refused(tmp_path):
    digest = write_blocking(tmp_path, random_blocks(3, 7, 4))
    with pytest.raises(BlockingFileError, match="another version"):
        read_blocking(tmp_path, digest, 12)
    path = blocking_path(tmp_path, digest)
    path.write_bytes(path.read_bytes()[:-1] + b"\x09")
    with pytest.raises(BlockingFileError, match="altered"):
        read_blocking(tmp_path, digest, 12)
    with pytest.raises(BlockingFileError, match="gone"):
        read_blocking(tmp_path, "0" * 64, 12)


def test_another_kind_of_array_is_refused(tmp_path):
    from provenance.marks.digest_files import write_array

    for array in (np.zeros(4, dtype=np.int32), np.zeros((2, 4), dtype=np.int64), np.zeros((3, 4), dtype=np.int32)):
        with pytest.raises(BlockingFileError, match="holds none"):
            read_blocking(tmp_path, write_array(tmp_path / "blockings", array), 4)
