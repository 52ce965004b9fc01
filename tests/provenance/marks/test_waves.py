"""Waves on a tile: how far two are apart, and the field that a tile stands for, as embedding and audit read it."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from provenance.marks import BlendFamily
from provenance.marks.waves import MIDDLE, TILE, Wave, field_of_batch, plane_waves, wave_distances

weights = st.floats(-1, 1).map(lambda weight: round(weight, 2))
directions = st.lists(st.tuples(weights, weights, weights), min_size=1, max_size=4, unique=True)
cycles = st.integers(-9, 9)
wave_lists = st.lists(st.builds(Wave, cycles, cycles, st.tuples(weights, weights, weights)), min_size=1, max_size=12)


def least_energy(one: Wave, two: Wave) -> float:
    """Mean square of the difference, summed over channels, at the best cyclic shift: every shift is tried."""
    first, second = one.field(), two.field()
    shifted = (np.roll(second, shift, axis=(0, 1)) for shift in itertools.product(range(len(second)), repeat=2))
    return min(float(((first - field) ** 2).mean((0, 1)).sum()) for field in shifted)


@given(wave_lists)
@budget(deadline=None)
def test_distances_are_symmetric_and_of_a_wave_to_itself_nothing(waves):
    distances = wave_distances(waves)
    assert distances.shape == (len(waves), len(waves))
    assert distances == pytest.approx(distances.T, abs=1e-6)
    assert np.diag(distances) == pytest.approx(0, abs=1e-6)
    assert (distances >= 0).all()
    assert np.array_equal(distances, np.round(distances, 9))


@given(wave_lists)
@budget(deadline=None)
def test_waves_are_as_far_from_one_another_as_their_mirror_images(waves):
    """Both signs of a frequency are one texture, and so are both signs of a direction: half a period apart."""
    mirrored = [Wave(-wave.down, -wave.across, wave.direction) for wave in waves]
    negative = [Wave(wave.down, wave.across, tuple(-weight for weight in wave.direction)) for wave in waves]
    count, distances = len(waves), wave_distances([*waves, *mirrored, *negative])
    for one, two in itertools.product(range(3), repeat=2):
        block = distances[one * count : (one + 1) * count, two * count : (two + 1) * count]
        assert block == pytest.approx(distances[:count, :count], abs=1e-6)


@given(first=directions, numbers=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)))
@budget(max_examples=25, deadline=None)
def test_a_distance_is_the_energy_at_the_best_shift_and_a_sixteenth_of_the_squared_frequencies(first, numbers):
    pool = plane_waves(4, tuple(first))
    one, two = (pool[number % len(pool)] for number in numbers)
    apart = [(one.down - sign * two.down) ** 2 + (one.across - sign * two.across) ** 2 for sign in (1, -1)]
    expected = np.sqrt(least_energy(one, two) + min(apart) / 16)
    assert abs(wave_distances([one, two])[0, 1] - expected) < 1e-6


def field_of_one(tile: np.ndarray, size: tuple[int, int], place: np.ndarray, periods: int) -> np.ndarray:
    """(H, W, C): the field as embedding reads it."""
    family = BlendFamily(SimpleNamespace(amplitude=MIDDLE, periods=periods))
    return MIDDLE + family.mix(np.zeros((*size, tile.shape[2])), tile, tuple(place))


def check_fields(tiles: int, places: int, size: tuple[int, int], periods: int, channels: int) -> None:
    """A batch of `tiles` and `places`, either of which may be one for all, against one image after another."""
    rng = np.random.default_rng(size[0] * periods)
    patterns = rng.integers(0, 256, (tiles, TILE, TILE, channels), dtype=np.uint8)
    phases = rng.random((places, 2))
    images = torch.zeros(max(tiles, places), 3, *size)
    lines = torch.from_numpy(patterns).permute(0, 3, 1, 2).float()
    fields = field_of_batch(lines, images, phases, periods).permute(0, 2, 3, 1).numpy()
    assert fields.shape == (len(images), *size, channels)
    for number, field in enumerate(fields):
        expected = field_of_one(patterns[number % tiles], size, phases[number % places], periods)
        assert np.abs(field - expected).max() < 1e-3  # of 255 grey levels


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize(("tiles", "places"), [(1, 1), (1, 5), (5, 1), (5, 5)])
@pytest.mark.parametrize("size", [(8, 8), (8, 61), (61, 8), (40, 56), (57, 33)])
def test_an_audit_reads_the_fields_that_embedding_reads(size, tiles, places, channels):
    for periods in (1, 3, 64):
        check_fields(tiles, places, size, periods, channels)


@given(
    size=st.tuples(st.integers(8, 80), st.integers(8, 80)),
    periods=st.integers(1, 64),
    counts=st.sampled_from([(1, 3), (3, 1), (3, 3)]),
    channels=st.integers(1, 3),
)
@budget(max_examples=40, deadline=None)
def test_any_size_and_any_number_of_periods(size, periods, counts, channels):
    check_fields(*counts, size, periods, channels)
