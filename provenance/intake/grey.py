"""Grey of 16 bits as people and models see it: at 8 bits. Pillow's own conversion clips it, so that it is white."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

STEP = 257  # levels of 16 bits for each of 8


def eight_bits(image: "Image") -> "Image":
    """16-bit grey scaled to 8 bits, its EXIF beside it; any other image as it is."""
    if not image.mode.startswith("I"):
        return image
    grey = image.convert("I").point(_table(), "L")
    grey.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return grey


@cache
def _table() -> list[int]:
    """For every level of 16 bits the nearest one of 8."""
    return [(level + STEP // 2) // STEP for level in range(1 << 16)]
