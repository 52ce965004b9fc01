"""A window's pixels are what Pillow decodes, number for number, in every sampling and colour coding."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from PIL import Image

from provenance.embedding.jpeg.source import JpegSource
from tests.provenance.embedding.jpeg.files import SAMPLINGS, Handmade, encoded

ADOBE = {transform: b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform]) for transform in (0, 1, 2)}
JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
CODINGS = {
    "grey": {"factors": [(1, 1)], "identifiers": b"\1"},
    "grey, sampled": {"factors": [(2, 2)], "identifiers": b"\1"},
    "JFIF": {"before": JFIF},
    "JFIF and Adobe RGB": {"before": JFIF + ADOBE[0]},
    "Adobe YCC": {"before": ADOBE[1]},
    "Adobe RGB": {"before": ADOBE[0], "factors": SAMPLINGS["4:4:4"]},
    "RGB by name": {"identifiers": b"RGB", "factors": SAMPLINGS["4:4:4"]},
    "other names": {"identifiers": b"\0\1\2"},
    "CMYK": {"factors": [(1, 1)] * 4, "identifiers": b"\1\2\3\4"},
    "Adobe CMYK": {"factors": [(1, 1)] * 4, "identifiers": b"CMYK", "before": ADOBE[0]},
    "YCCK": {"factors": [(2, 2), (1, 1), (1, 1), (2, 2)], "identifiers": b"\1\2\3\4", "before": ADOBE[2]},
}


def decoded(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def check(data: bytes, seed: int = 0) -> None:
    expected = decoded(data)
    source = JpegSource(data)
    assert np.array_equal(source.raster.pixels, expected)
    rng = np.random.default_rng(seed)
    for _ in range(3):
        top, left = (int(rng.integers(0, side)) for side in expected.shape[:2])
        height, width = (int(rng.integers(1, expected.shape[side] - at + 1)) for side, at in enumerate((top, left)))
        region = top, left, height, width
        alone = JpegSource(data, lambda *size, region=region: region)
        assert np.array_equal(alone.window(region).pixels, expected[top : top + height, left : left + width])


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (8, 8), (40, 33), (67, 130)])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_sampling(sampling, size):
    check(Handmade(*size, factors=SAMPLINGS[sampling]).data())


@pytest.mark.parametrize("coding", CODINGS)
def test_every_colour_coding(coding):
    data = Handmade(37, 50, **CODINGS[coding]).data()
    check(data)
    with Image.open(io.BytesIO(data)) as image:
        assert JpegSource(data).mode == image.mode


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 100),
    st.sampled_from([0, 1, 2]),
    st.booleans(),
    st.booleans(),
)
@budget(max_examples=25, deadline=None)
def test_what_pillow_writes(height, width, quality, subsampling, progressive, grey):
    kind = {"quality": quality, "subsampling": subsampling, "progressive": progressive}
    check(encoded(height, width, 1 if grey else 3, seed=height, **kind), seed=width)


def test_a_window_of_another_place_than_foretold():
    data = encoded(300, 60)
    source = JpegSource(data, lambda *size: (8, 8, 10, 10))
    assert np.array_equal(source.window((250, 0, 50, 60)).pixels, decoded(data)[250:])
    assert np.array_equal(source.raster.pixels, decoded(data))
