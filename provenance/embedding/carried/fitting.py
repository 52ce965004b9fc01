"""Where a picture lies in its thumbnail, and the picture at the thumbnail's size.

Sums are of whole numbers, so that the same pixels come out on every machine.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from provenance.embedding.errors import NotMarkableError

Box = tuple[int, int, int, int]  # top, left, height, width
_LUMA = np.array([19595, 38470, 7471])  # ITU-R 601-2 in 1/65536
_SURE = 8  # grey levels of mean difference below which a thumbnail surely shows its picture
_EXPLAINED = 0.5  # of a thumbnail's contrast, that its picture may leave unexplained


@dataclass(frozen=True)
class Fit:
    """The picture turned as an EXIF orientation says; `cut` of it, made smaller, fills `box` of the thumbnail."""

    orientation: int
    cut: Box
    box: Box

    def shown(self, picture: np.ndarray) -> np.ndarray:
        """The (H, W, C) picture as it stands in the box: (h, w, C) int64."""
        top, left, height, width = self.cut
        turned_picture = turned(picture, self.orientation)[top : top + height, left : left + width]
        return made_smaller(turned_picture, self.box[2], self.box[3])

    def place(self, thumbnail: np.ndarray) -> np.ndarray:
        """The box of a thumbnail, as a view."""
        top, left, height, width = self.box
        return thumbnail[top : top + height, left : left + width]


def turned(picture: np.ndarray, orientation: int) -> np.ndarray:
    """An (H, W, C) picture as it is shown by its EXIF orientation, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        picture = picture.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    return picture


def made_smaller(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Means over equal areas of an (H, W, C) picture, rounded: (height, width, C) int64. Larger ones repeat pixels."""
    rows, row_counts = _starts(picture.shape[0], height)
    columns, column_counts = _starts(picture.shape[1], width)
    sums = np.add.reduceat(np.add.reduceat(picture, rows, axis=0, dtype=np.int64), columns, axis=1)
    areas = (row_counts[:, None] * column_counts)[:, :, None]
    return (2 * sums + areas) // (2 * areas)


def _starts(size: int, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each of `wanted` parts of `size` starts, and how long it is; at least one."""
    bounds = np.arange(wanted + 1, dtype=np.int64) * size // wanted
    return bounds[:-1], np.maximum(np.diff(bounds), 1)


def fit(thumbnail: np.ndarray, picture: np.ndarray, orientation: int) -> Fit:
    """How the (h, w, C) thumbnail shows the (H, W, C) picture: stretched, with bars, or cut; turned by EXIF or not.

    Raises NotMarkableError where it rather shows another picture.
    """
    thumb, grey = _luma(thumbnail), _luma(picture)
    errors = [(_error(thumb, grey, one), number, one) for number, one in enumerate(_fits(thumb, grey, orientation))]
    error, _, best = min(errors, key=lambda row: row[:2])
    contrast = int(np.abs(thumb - int(thumb.sum()) // thumb.size).sum()) / thumb.size
    if error > max(_SURE, _EXPLAINED * contrast):
        raise NotMarkableError("Its thumbnail shows another picture, so nobody can say where the mark belongs in it.")
    return best


def _luma(pixels: np.ndarray) -> np.ndarray:
    wide = pixels.astype(np.int64)
    grey = (wide @ _LUMA + 32768) >> 16 if pixels.shape[2] == 3 else wide[:, :, 0]
    return grey[:, :, None]


def _fits(thumb: np.ndarray, grey: np.ndarray, orientation: int) -> Iterator[Fit]:
    height, width = thumb.shape[:2]
    for one in dict.fromkeys((1, orientation)):
        rows, columns = turned(grey, one).shape[:2]
        whole, full = (0, 0, rows, columns), (0, 0, height, width)
        yield Fit(one, whole, full)
        # Which edge is filled first, by cross-multiplication.
        if rows * width == columns * height:
            continue
        if rows * width > columns * height:
            inside, cut = (height, _rounded(columns * height, rows)), (_rounded(height * columns, width), columns)
        else:
            inside, cut = (_rounded(rows * width, columns), width), (rows, _rounded(width * rows, height))
        yield Fit(one, whole, _centred(full, inside))
        yield Fit(one, _centred(whole, cut), full)


def _rounded(over: int, under: int) -> int:
    return max((2 * over + under) // (2 * under), 1)


def _centred(outer: Box, size: tuple[int, int]) -> Box:
    height, width = min(size[0], outer[2]), min(size[1], outer[3])
    return (outer[2] - height) // 2, (outer[3] - width) // 2, height, width


def _error(thumb: np.ndarray, grey: np.ndarray, one: Fit) -> float:
    """Mean difference in grey levels, where bars around the picture are taken to be of one colour."""
    bars = np.ones(thumb.shape, dtype=bool)
    one.place(bars)[...] = False
    rest = thumb[bars]
    outside = int(np.abs(rest - np.sort(rest)[len(rest) // 2]).sum()) if rest.size else 0
    return (int(np.abs(one.place(thumb) - one.shown(grey)).sum()) + outside) / thumb.size
