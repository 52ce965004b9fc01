"""Waves on a tile: how far two are apart, and the field that a tile stands for, as embedding and audit read it."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from provenance.marks.waves import Wave, plane_waves, wave_distances

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
