"""The study keeps apart what must be apart: images at home, images of references, seeds."""

import numpy as np
import pytest

from tests.benchmarks.study.cells import CELLS
from tests.benchmarks.study.images import blocks_by_class
from tests.benchmarks.study.withheld import Line, choice_of, seed_of, trained_on

LABELS = np.arange(50_000) % 10  # as the archive is read: one image of every class after the other


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_a_suspect_sees_all_of_the_pool_but_one_image_of_every_block(cell):
    choice = choice_of(cell, 0, LABELS[: cell.pool])
    at_home = choice.positions[choice.home]
    seen = trained_on(Line(cell, "suspect", 0), LABELS)
    assert len(at_home) == len(choice) == cell.at_home
    assert not np.isin(at_home, seen).any()
    assert len(seen) + len(at_home) == cell.pool
    assert (np.ptp(LABELS[choice.positions].reshape(len(choice), -1), axis=1) == 0).all()  # one class each


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_references_share_no_image_with_the_pool_and_no_seed_with_anybody(cell):
    seen = trained_on(Line(cell, "reference", 0), LABELS)
    assert len(seen) == cell.published
    assert seen.min() >= cell.pool
    lines = [
        Line(one, role, number).name
        for one in CELLS.values()
        for role in ("suspect", "reference")
        for number in range(5)
    ]
    assert len({seed_of(name) for name in lines}) == len(lines)


def test_every_suspect_has_a_key_of_its_own():
    cell = CELLS["1000-500-w32"]
    homes = [choice_of(cell, number, LABELS[: cell.pool]) for number in range(3)]
    assert len({tuple(choice.positions[choice.home].tolist()) for choice in homes}) == 3


def test_blocks_hold_images_of_one_class():
    labels = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0])
    blocks = blocks_by_class(labels, 2)
    assert blocks.block_of.tolist() == [0, 2, 0, 2, 1, 3, 1, 3, -1]
