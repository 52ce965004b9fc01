"""Units and blocks by the public rule: what is one stays together, blocks are alike, and the same everywhere."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from provenance.blocking.making import Images, make_blocks
from provenance.blocking.rule import BlockingError, BlockRule
from provenance.marks.blocking_file import NO_BLOCK
from provenance.marks.feature_signs import feature_signs
from provenance.near_duplicates.hashing import RECORD


def told(done, total, phase):
    pass


def images(count: int, seed: int = 1, *, classes: int = 3, kinds: int = 0, copies: int = 0, flat: int = 0, named=()):
    """Random hashes; with `kinds`, each differs from its kind in some 30 bits. The last ones are copies."""
    rng = np.random.default_rng(seed)
    records = np.zeros(count, dtype=RECORD)
    records["read"], records["quality"] = 1, 90
    records["pixels"] = rng.integers(0, 2**63, (count, 2))
    records["bits"] = rng.integers(0, 2**63, (count, 4), dtype=np.uint64)
    if kinds:
        centres = rng.integers(0, 2**63, (kinds, 4), dtype=np.uint64)
        noise = np.packbits(rng.random((count, 256)) < 0.12, axis=1).view("<u8")
        records["bits"] = centres[np.arange(count) % kinds] ^ noise
    records["quality"][:flat], records["bits"][:flat] = 3, 0
    first = np.arange(count)
    first[count - copies :] = np.arange(copies)
    records[count - copies :] = np.zeros(copies, dtype=RECORD)
    group = np.arange(count) % classes
    group[count - copies :] = group[:copies]
    return Images(records, first, group, rng.integers(1000, 9000, count), named)


@given(
    count=st.integers(1, 300),
    seed=st.integers(0, 30),
    size=st.integers(2, 6),
    classes=st.integers(1, 4),
    flat=st.integers(0, 20),
)
@budget(max_examples=40, deadline=None)
def test_blocks_hold_units_of_one_class_and_all_that_fit(count, seed, size, classes, flat):
    found = images(count, seed, classes=classes, flat=min(flat, count))
    blocks = make_blocks(found, BlockRule(block_size=size), told)
    assert len(blocks) == count
    for units in blocks.alternatives:
        members = blocks.images_of(units)
        assert len(units) == size
        assert len(set(found.group[members])) == 1
        assert len(set(found.records["quality"][members] < 50)) == 1  # flat ones are among themselves
    left = np.flatnonzero(blocks.block_of == NO_BLOCK)
    for group in range(classes):
        for is_flat in (True, False):
            alike = (found.group[left] == group) & ((found.records["quality"][left] < 50) == is_flat)
            assert alike.sum() < size


def test_exact_copies_and_near_duplicates_are_one_unit():
    found = images(60, copies=6, classes=1)
    found.records["bits"][11] = found.records["bits"][10] ^ np.array([0b111, 0, 0, 0], dtype=np.uint64)
    found.records["pixels"][21] = found.records["pixels"][20]
    found.records["quality"][20:22] = 1  # flat, and the same pixels
    blocks = make_blocks(found, BlockRule(), told)
    unit = blocks.unit_of
    assert unit[54:].tolist() == unit[:6].tolist()
    assert unit[10] == unit[11]
    assert unit[20] == unit[21]
    assert blocks.units == 60 - 6 - 2
    apart = make_blocks(found, BlockRule(distance=2), told)
    assert apart.unit_of[10] != apart.unit_of[11]
    assert make_blocks(found, BlockRule(distance=3), told).unit_of[10] == unit[11]


def test_what_people_name_stays_together():
    named = np.zeros(80, dtype=np.uint64)
    named[[3, 17, 30]], named[[4, 5]] = 7, 9
    found = images(80, classes=1, copies=1, named=(named,))
    named[79] = 9  # the copy of image 0: copies join what names join
    unit = make_blocks(found, BlockRule(unit_column="burst"), told).unit_of
    assert len({*unit[[3, 17, 30]]}) == 1
    assert len({*unit[[0, 4, 5, 79]]}) == 1
    assert len({*unit}) == 80 - 2 - 3


def test_a_unit_that_is_too_large_is_in_no_block():
    named = np.zeros(400, dtype=np.uint64)
    named[:8], named[8:17] = 1, 2
    blocks = make_blocks(images(400, classes=1, named=(named,)), BlockRule(), told)
    assert (blocks.block_of[:8] >= 0).all()
    assert (blocks.block_of[8:17] == NO_BLOCK).all()


def test_images_of_a_block_are_more_alike_than_others():
    """Kinds of pictures: nearly all blocks are of one kind, where chance would give one in 8,000."""
    blocks = make_blocks(images(1200, classes=1, kinds=20), BlockRule(distance=0), told)
    pure = [len({int(image) % 20 for image in blocks.images_of(units)}) == 1 for units in blocks.alternatives]
    assert np.mean(pure) > 0.8


def test_with_signs_of_features_blocks_hold_what_is_near_in_them():
    """Hashes say nothing here; images that have no features are among themselves."""
    kind = np.random.default_rng(4).integers(0, 20, 1200)
    rng = np.random.default_rng(5)
    features = rng.standard_normal((20, 16))[kind] + 0.2 * rng.standard_normal((1200, 16))
    features[:10] = 0
    found = replace(images(1200, classes=1, flat=200), signs=feature_signs(features.astype(np.float32), 1))
    blocks = make_blocks(found, BlockRule(distance=0, clusters="c", signs="s"), told)
    members = [blocks.images_of(units) for units in blocks.alternatives]
    pure = [len(set(kind[one])) == 1 for one in members if one.min() >= 10]
    assert np.mean(pure) > 0.8
    assert all((one < 10).all() or (one >= 10).all() for one in members)
    assert len(members) == 2 + 1190 // 4


def test_rules_of_before_there_were_signs_read_the_same():
    assert "signs" not in BlockRule().to_dict()
    assert BlockRule(**BlockRule(signs="s").to_dict()).signs == "s"


def test_they_are_the_same_every_time_and_for_any_layout():
    one, other = images(500, kinds=9, copies=20), images(500, kinds=9, copies=20)
    again = Images(np.asfortranarray(other.records), other.first, other.group.copy(), other.size, other.named)
    first, second = make_blocks(one, BlockRule(), told), make_blocks(again, BlockRule(), told)
    assert np.array_equal(first.unit_of, second.unit_of)
    assert np.array_equal(first.block_of, second.block_of)


def test_the_blocks_are_these_for_good():
    """Written down once: another version of NumPy or another machine must find the same."""
    records = np.zeros(16, dtype=RECORD)
    records["read"], records["quality"], records["pixels"][:, 0] = 1, 90, np.arange(16)
    words = np.arange(16, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    records["bits"] = np.stack([words, words[::-1], words ^ words[::-1], ~words], axis=1)
    found = Images(records, np.arange(16), np.zeros(16, dtype=np.int64), np.arange(16))
    assert make_blocks(found, BlockRule(), told).block_of.tolist() == BLOCK_OF


BLOCK_OF = [0, 1, 2, 1, 3, 1, 2, 0, 3, 3, 2, 2, 3, 1, 0, 0]


def test_cancel_stops_it():
    class StopError(Exception):
        pass

    def stop(done, total, phase):
        raise StopError

    with pytest.raises(StopError):
        make_blocks(images(50), BlockRule(), stop)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"block_size": 1}, "between 2 and 16"),
        ({"block_size": 17}, "between 2 and 16"),
        ({"distance": -1}, "0 to 31"),
        ({"distance": 32}, "0 to 31"),
        ({"folder_level": -1}, "from 1 to 32"),
        ({"unit_column": " Label "}, "other than path, label and caption"),
    ],
)
def test_rules_that_cannot_be_are_refused(fields, sentence):
    with pytest.raises(BlockingError, match=sentence):
        BlockRule(**fields)
