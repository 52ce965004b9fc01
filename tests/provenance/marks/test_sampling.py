"""How many pixels a mark needs: at that size its waves keep their contrast, at a fifth less some are gone."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from provenance.marks import BlendFamily, MarkSettings, family_for
from provenance.marks.waves import MIDDLE, as_tile

FAMILIES = ("blend", "spectral", "warp")


def mark(family: str, **changes) -> MarkSettings:
    return MarkSettings(association="plain", family=family, **changes)


def contrasts(family: str, periods: int, size: int) -> np.ndarray:
    """Per wave of the pool: what is left of its contrast in an image of 500 pixels after resizing to `size`."""
    pool = {(wave.down, wave.across): wave for wave in family_for(mark(family))._pool()}
    found = []
    for wave in pool.values():
        tile = as_tile(wave.field())[:, :, np.argmax(np.abs(wave.direction)), None]
        family_of_tile = BlendFamily(SimpleNamespace(amplitude=MIDDLE, periods=periods))
        large = family_of_tile.mix(np.zeros((500, 500, 1)), tile, (0.0, 0.0))[..., 0]
        small = Image.fromarray(large.astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC)
        found.append(np.asarray(small).std() / large.std())
    return np.array(found)


@pytest.mark.parametrize("periods", [1, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_wave_keeps_nearly_half_of_its_contrast_at_the_least_edge(family, periods):
    edge = mark(family, periods=periods).least_edge
    kept = contrasts(family, periods, edge)
    assert kept.min() > 0.4
    assert np.median(kept) > 0.75
    assert contrasts(family, periods, int(0.8 * edge)).min() < 0.25


def test_the_least_edge_grows_with_the_periods():
    assert [mark(family).least_edge for family in FAMILIES] == [10, 12, 8]
    assert [mark(family, periods=16).least_edge for family in FAMILIES] == [160, 180, 120]
    assert mark("patch", cells=8).least_edge == 8
