"""The study keeps apart what must be apart: images at home, images of references, seeds."""

import numpy as np
import pytest

from tests.benchmarks.study.cells import CELLS
from tests.benchmarks.study.images import Labelled, blocks_by_class, pool_of
from tests.benchmarks.study.lines import REFERENCES, Line, choice_of, pictures_needed, seed_of, trained_on
from tests.benchmarks.study.tables import sets_of

ARCHIVE = np.arange(50_000) % 10  # as it is read: one image of every class after the other


def labels_in(cell):
    """Of the pool and of all that references see."""
    own, others = ARCHIVE[: cell.pictures], ARCHIVE[cell.pictures : pictures_needed(cell)]
    return np.concatenate([np.repeat(own, 2) if cell.versions else own, others])


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_a_suspect_sees_all_of_the_pool_but_one_image_of_every_block(cell):
    labels = labels_in(cell)
    choice = choice_of(cell, 0, labels[: cell.pool])
    at_home = choice.positions[choice.home]
    seen = trained_on(Line(cell, "suspect", 0), labels)
    assert len(at_home) == len(choice) == cell.at_home
    assert not np.isin(at_home, seen).any()
    assert len(seen) + len(at_home) == cell.pool
    assert (np.ptp(labels[choice.positions].reshape(len(choice), -1), axis=1) == 0).all()  # one class each


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_references_share_no_image_with_the_pool_and_no_seed_with_anybody(cell):
    seen = [trained_on(Line(cell, "reference", number), labels_in(cell)) for number in range(cell.references)]
    seen += [trained_on(Line(cell, "base", 0), labels_in(cell))] if cell.tuned else []
    assert len(np.unique(np.concatenate(seen))) == sum(map(len, seen))
    assert {len(one) for one in seen[: cell.references]} == {cell.published}
    assert min(map(np.min, seen)) >= cell.pool
    lines = [
        Line(one, role, number).name
        for one in CELLS.values()
        for role in ("suspect", *REFERENCES)
        for number in range(5)
    ]
    assert len({seed_of(name) for name in lines}) == len(lines)


def test_every_suspect_has_a_key_of_its_own():
    cell = CELLS["1000-500-w32"]
    homes = [choice_of(cell, number, ARCHIVE[: cell.pool]) for number in range(3)]
    assert len({tuple(choice.positions[choice.home].tolist()) for choice in homes}) == 3


def test_blocks_hold_images_of_one_class():
    labels = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0])
    blocks = blocks_by_class(labels, 2)
    assert blocks.block_of.tolist() == [0, 2, 0, 2, 1, 3, 1, 3, -1]


def test_one_that_sees_the_whole_pool_sees_one_version_of_every_image():
    whole = trained_on(Line(CELLS["1000-500-w32"], "whole", 0), ARCHIVE)
    assert whole.tolist() == list(range(1500))
    cell = CELLS["versions-38dB-1000"]
    seen = trained_on(Line(cell, "whole", 0), labels_in(cell))
    assert (seen // 2).tolist() == list(range(1000))
    assert 400 < (seen % 2).sum() < 600


def test_versions_are_as_far_from_their_picture_as_the_cell_says():
    cell = CELLS["versions-38dB-1000"]
    rng = np.random.default_rng(3)
    count = cell.pictures + 5
    pictures = Labelled(rng.integers(40, 216, (count, 32, 32, 3)).astype(np.uint8), ARCHIVE[:count], np.arange(count))
    pool = pool_of(cell, pictures)
    assert len(pool.images) == cell.pool + 5
    off = pool.images[: cell.pool].astype(float) - np.repeat(pictures.images[: cell.pictures], 2, axis=0)
    psnr = 10 * np.log10(255**2 / (off**2).mean(axis=(1, 2, 3)))
    assert abs(psnr - 38).max() < 0.3
    assert np.allclose(off[0::2], -off[1::2])
    assert pool.labels.tolist() == labels_in(cell)[: len(pool.labels)].tolist()


def test_captions_differ_from_image_to_image_and_follow_the_picture():
    pictures = Labelled(np.zeros((40, 8, 8, 3), np.uint8), ARCHIVE[:40], np.arange(40))
    assert len(set(pictures.captions)) == 40
    part = pictures.part(np.array([7, 30]))
    assert part.captions == (pictures.captions[7], pictures.captions[30])


def test_references_are_tried_alone_and_together():
    names = ["reference-0", "reference-1", "whole-0"]
    assert sets_of(names) == [["reference-0"], ["reference-0", "reference-1"], ["whole-0"], names]
    assert sets_of(["reference-0", "base-0"]) == [["reference-0"], ["base-0"], ["reference-0", "base-0"]]
    assert sets_of([]) == []
