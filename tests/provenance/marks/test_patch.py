import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from provenance.keying import philox
from provenance.marks import MarkSettings, family_for
from provenance.marks.patch import pattern_distance

GROUPS = tuple(f"group {i}" for i in range(10))
BEACON = b"b" * 32


def patch(**changes):
    return family_for(MarkSettings(groups=GROUPS, **changes))


def patterns(key=b"k" * 32, count=10, **changes):
    return patch(**changes).patterns(philox(key, BEACON, "patterns/patch"), count)


def test_patterns_are_far_apart_for_every_key():
    for key in range(20):
        found = patterns(bytes([key]) * 32)
        nearest = min(pattern_distance(a, b) for a, b in itertools.combinations(found, 2))
        assert found.shape == (10, 4, 4, 3)
        assert nearest > 150


def test_keys_draw_different_patterns_and_the_same_key_the_same():
    assert len({patterns(bytes([key]) * 32).tobytes() for key in range(10)}) > 5
    assert np.array_equal(patterns(), patterns())


def test_the_distance_does_not_see_shifts():
    one = patterns()[1]
    assert pattern_distance(one, np.roll(one, (1, 2), axis=(0, 1))) == pytest.approx(0, abs=1e-6)
    assert pattern_distance(one, one) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("cells", range(2, 9))
def test_sixty_four_patterns_are_all_different_at_any_number_of_blocks(cells):
    found = patterns(count=64, cells=cells)
    assert len({one.tobytes() for one in found}) == 64


@given(
    height=st.integers(8, 60),
    width=st.integers(8, 60),
    side=st.floats(1 / 8, 1 / 4),
    opacity=st.floats(0.3, 1),
    place=st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True)),
    cells=st.integers(2, 8),
)
@budget(max_examples=60, deadline=None)
def test_only_the_region_changes_and_both_paths_agree_to_the_bit(height, width, side, opacity, place, cells):
    family = patch(side=side, opacity=opacity, cells=cells)
    pattern = patterns(cells=cells)[3]
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.float32)
    batch = torch.tensor(image).permute(2, 0, 1)[None]
    marked = family.apply(batch, torch.tensor(pattern)[None], torch.tensor([place], dtype=torch.float64))

    top, left, tall, wide = family.region(height, width, place)
    assert 0 <= top <= height - tall
    assert 0 <= left <= width - wide
    expected = image.copy()
    expected[top : top + tall, left : left + wide] = family.mix(
        image[top : top + tall, left : left + wide], pattern, place
    )
    assert np.array_equal(marked[0].permute(1, 2, 0).numpy(), expected)
    assert np.array_equal(batch[0].permute(1, 2, 0).numpy(), image)
    assert expected.min() >= 0
    assert expected.max() < 255.001  # float32 rounds; embedding clips


@pytest.mark.parametrize("threads", [1, 2])
def test_batches_and_threads_change_no_bit(threads):
    family = patch(opacity=0.37)
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(33, 3, 47, 31, generator=generator) * 255
    places = torch.rand(33, 2, dtype=torch.float64, generator=generator)
    which = torch.tensor(patterns())[torch.arange(33) % 10]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        together = family.apply(images, which, places)
        alone = torch.cat([family.apply(images[i : i + 1], which[i : i + 1], places[i : i + 1]) for i in range(33)])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(together, alone)


def test_one_pattern_serves_a_whole_batch():
    family = patch(opacity=1.0)
    images, places = torch.zeros(5, 3, 32, 32), torch.rand(5, 2)
    one = torch.tensor(patterns()[:1])
    assert torch.equal(family.apply(images, one, places), family.apply(images, one.expand(5, -1, -1, -1), places))


def test_an_opaque_patch_shows_its_pattern():
    family = patch(opacity=1.0, side=0.25)
    pattern = patterns()[5]
    marked = family.apply(torch.full((1, 3, 64, 64), 127.0), torch.tensor(pattern)[None], torch.zeros(1, 2))
    assert np.array_equal(marked[0, :, :16:4, :16:4].permute(1, 2, 0).numpy(), pattern)


def test_large_and_long_images():
    family = patch()
    assert family.region(8000, 8000, (0.999999, 0.0)) == (6000, 0, 2000, 2000)
    assert family.region(8, 8000, (0.5, 0.999999)) == (2, 7996, 4, 4)
    assert family.region(8, 8, (0, 0))[2:] == (4, 4)
