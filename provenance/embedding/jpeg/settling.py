"""Blocks of a changed picture that would not stay as they are if the file were coded again with its own tables.

Decoding a JPEG and coding it with its own tables changes few coefficients, for it was coded so before. What a mark
leaves changes more: edges of colours between the samples of halved planes, levels beyond black and white.
"""

import numpy as np

from provenance.embedding.jpeg.decoding import Colours, Decoder
from provenance.embedding.jpeg.loops.coding import code
from provenance.embedding.jpeg.loops.settling import count_changes, settle
from provenance.embedding.jpeg.planes import BLOCK
from provenance.embedding.jpeg.structure import Structure

_CENTRE, _HALF = 128 << 16, 1 << 15  # of a sample of 8 bits, in 1/65536


class Coder:
    """What a band of a picture's pixels is coded as, as Pillow does with libjpeg-turbo. width: of the band, in pixels.

    left: the column that it begins with, of whole units.
    """

    def __init__(self, structure: Structure, decoder: Decoder, left: int, band: int, width: int) -> None:
        planes = decoder.planes
        self._size, self._left, self._width = decoder.size, left, width
        self._planes = np.array([(one.height, *one.factors, one.start, one.stride) for one in planes])
        self._weights = np.array([_weights(decoder.colours, number) for number in range(len(planes))], np.int32)
        self._steps = np.array(structure.steps, np.float32)
        rows, columns = _blocks(self._planes, band, width)
        self._first = np.concatenate([[0], np.cumsum(rows * columns)])
        self.coded = np.empty((self._first[-1], 64), np.int16)

    def blocks(self, top: int, height: int) -> np.ndarray:
        """Where the blocks of so many rows of pixels from `top` on stand, as `count_changes` takes it."""
        rows, columns = _blocks(self._planes, height, self._width)
        down, across = (BLOCK * self._planes[:, side] for side in (1, 2))
        stride = self._planes[:, 4]
        first = self._planes[:, 3] + top // down * stride + self._left // across
        return np.stack([first, stride, self._first[:-1], columns, rows, columns], axis=1)

    def code(self, pixels: np.ndarray, top: int) -> np.ndarray:
        """The quantised coefficients of (h, w, C) uint8 pixels; holds until the next are asked for."""
        local = self.blocks(top, len(pixels))[:, 2:4]
        code(pixels, top, self._left, self._size, self._planes, self._weights, self._steps, local, self.coded)
        return self.coded

    def changes(self, coefs: np.ndarray, pixels: np.ndarray, top: int) -> np.ndarray:
        """(n,) uint8: how many coefficients of each block of a band are coded as something else."""
        counts = np.zeros(len(self.coded), np.uint8)
        count_changes(coefs, self.code(pixels, top), self.blocks(top, len(pixels)), counts)
        return counts

    def settle(self, coefs: np.ndarray, pixels: np.ndarray, top: int, before: np.ndarray, changed: np.ndarray) -> bool:
        """Let blocks become what they are coded as where too many change; whether there were any."""
        now = self.changes(coefs, pixels, top)
        return settle(coefs, self.coded, before, now, changed, self.blocks(top, len(pixels))) > 0


def _blocks(planes: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of blocks of every plane in so many pixels."""
    return -(-height // (BLOCK * planes[:, 1])), -(-width // (BLOCK * planes[:, 2]))


def _weights(colours: Colours, plane: int) -> tuple[int, ...]:
    """What a sample is made of, in 1/65536: of every channel, and what is added."""
    weights = colours.weights(plane)
    if colours.is_ycc and plane < 3:
        return (*weights, _CENTRE + _HALF - 1 if plane else _HALF)
    return (*weights, 255 << 16 if colours.is_inverted else 0)
