"""Photographs and CIFAR-10, as they came: every one is a candidate, and written without a change the same."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from provenance.embedding.jpeg.entropy import read_picture, write_picture
from provenance.embedding.jpeg.source import JpegSource
from provenance.embedding.jpeg.structure import parse

pytestmark = pytest.mark.shared


@pytest.mark.parametrize(("archive", "step"), [("photos.zip", 10), ("cifar10.zip", 300)])
def test_bytes_and_pixels(shared, archive, step):
    count = 0
    with zipfile.ZipFile(shared / "data" / archive) as files:
        for name in [name for name in files.namelist() if name.lower().endswith((".jpg", ".jpeg"))][::step]:
            data = files.read(name)
            picture = read_picture(data, parse(data))
            assert write_picture(picture, picture.coefs, None) == data, name
            with Image.open(io.BytesIO(data)) as image:
                assert np.array_equal(JpegSource(data).raster.pixels.squeeze(), np.asarray(image)), name
            count += 1
    assert count >= 20
