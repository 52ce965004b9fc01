"""Windows of a JPEG's pixels from its coefficients, the same numbers as Pillow's with libjpeg-turbo."""

from dataclasses import dataclass

import numpy as np

from provenance.embedding.jpeg.loops.pixels import coloured, enlarged, samples_of
from provenance.embedding.jpeg.planes import BLOCK, Plane, planes_of
from provenance.embedding.jpeg.structure import Structure

Region = tuple[int, int, int, int]  # top, left, height, width
BAND = 1 << 19  # pixels that are decoded together, so that they stay in a processor's own cache
_LUMA = (19595, 38470, 7471)  # of red, green and blue in 1/65536 (JFIF 1.02)
_BLUE = (-11059, -21709, 32768)
_RED = (32768, -27439, -5329)
_SMOOTH = ((1, 2), (2, 1), (2, 2))  # factors (down, across) that libjpeg interpolates


@dataclass(frozen=True)
class Colours:
    """How planes are pixels: Pillow's mode; whether the first three planes are YCbCr; whether ink is turned round."""

    mode: str
    is_ycc: bool
    is_inverted: bool

    @property
    def channels(self) -> int:
        return {"L": 1, "RGB": 3, "CMYK": 4}[self.mode]

    def weights(self, plane: int) -> tuple[int, ...]:
        """What a plane's sample changes by for each channel of a pixel, in 1/65536."""
        if self.is_ycc and plane < 3:
            row = (_LUMA, _BLUE, _RED)[plane]
            return row + (0,) * (self.channels - 3)
        sign = -65536 if self.is_inverted else 65536
        return tuple(sign * (channel == plane) for channel in range(self.channels))


def colours_of(structure: Structure) -> Colours:
    """How libjpeg, and Pillow after it, read these planes (jdapimin.c)."""
    identifiers = bytes(one.identifier for one in structure.frame.components)
    if len(identifiers) == 1:
        return Colours("L", is_ycc=False, is_inverted=False)
    if len(identifiers) == 4:
        return Colours("CMYK", is_ycc=structure.adobe not in (None, 0), is_inverted=True)
    if structure.has_jfif:
        is_ycc = True
    elif structure.adobe is not None:
        is_ycc = structure.adobe != 0
    else:
        is_ycc = identifiers != b"RGB"
    return Colours("RGB", is_ycc, is_inverted=False)


class Decoder:
    """Decodes windows of one file's coefficients, or of others in their place."""

    def __init__(self, structure: Structure) -> None:
        self.colours = colours_of(structure)
        self.size = structure.frame.height, structure.frame.width
        self.planes = planes_of(structure.frame)
        self._steps = [np.array(steps, np.int32) for steps in structure.steps]

    def window(self, coefs: np.ndarray, region: Region) -> np.ndarray:
        """(h, w, C) uint8 pixels of a region."""
        top, left, height, width = region
        pixels = np.empty((height, width, self.colours.channels), np.uint8)
        step = self.band(width)
        for start in range(0, height, step):
            self.decode(coefs, top + start, left, pixels[start : start + step])
        return pixels

    def band(self, width: int) -> int:
        """Rows of whole units that are worked on together in a region of some width."""
        tall = max(plane.factors[0] * plane.units[0] for plane in self.planes) * BLOCK
        return max(1, BAND // width // tall) * tall

    def decode(self, coefs: np.ndarray, top: int, left: int, pixels: np.ndarray) -> None:
        """Fill (h, w, C) uint8 pixels with those from `top` and `left` on; quick for few rows."""
        levels = [
            self._plane(coefs, number, top, left, pixels.shape[0], pixels.shape[1])
            for number in range(len(self.planes))
        ]
        if self.colours.is_ycc:
            rgb = pixels if len(levels) == 3 else np.empty((*pixels.shape[:2], 3), np.uint8)
            luma, blue, red = (plane.reshape(-1) for plane in levels[:3])
            coloured(luma, blue, red, rgb.reshape(-1))
            if rgb is not pixels:
                pixels[..., :3] = rgb
        for channel, plane in enumerate(levels):
            if not self.colours.is_ycc or channel > 2:
                pixels[..., channel] = ~plane if self.colours.is_inverted else plane

    def _plane(self, coefs: np.ndarray, number: int, top: int, left: int, height: int, width: int) -> np.ndarray:
        plane, steps = self.planes[number], self._steps[number]
        down, across = plane.factors
        first_row, rows = _samples(top, height, down, plane.height)
        first_column, columns = _samples(left, width, across, plane.width)
        samples = np.empty((rows, columns), np.uint8)
        samples_of(coefs, plane.start, plane.stride, steps, first_row // BLOCK, first_column // BLOCK, samples)
        if (down, across) == (1, 1):
            return np.ascontiguousarray(
                samples[top - first_row : top - first_row + height, left - first_column : left - first_column + width]
            )
        out = np.empty((height, width), np.uint8)
        where = (samples, first_row, first_column, plane.height, plane.width)
        enlarged(*where, down, across, is_smooth(plane), top, left, out)
        return out


def is_smooth(plane: Plane) -> bool:
    """Whether libjpeg interpolates a plane's samples; it does not where a row has one or two of them."""
    return plane.factors in _SMOOTH and (plane.factors[1] == 1 or plane.width > 2)


def _samples(start: int, count: int, factor: int, length: int) -> tuple[int, int]:
    """The first sample of the first block, and how many samples of whole blocks, that pixels are made of."""
    reach = int(factor > 1)
    first = max(start // factor - reach, 0) // BLOCK * BLOCK
    last = min((start + count - 1) // factor + reach, length - 1) // BLOCK * BLOCK
    return first, last + BLOCK - first
