"""A PNG that could not be one is told as damaged, like any other damage."""

import io

import pytest
from PIL import Image

from provenance.inspection.png import png_features


def test_a_colour_type_that_does_not_exist_is_damage():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[25] = 5  # of IHDR; 0, 2, 3, 4 and 6 exist
    with pytest.raises(ValueError, match="colour type"):
        png_features(bytes(data))
