"""Where each colour plane's blocks stand among all coefficients of a picture (ITU-T T.81, A.1 and A.2)."""

from dataclasses import dataclass

import numpy as np

from provenance.embedding.jpeg.structure import Frame, ScanHeader

BLOCK = 8  # pixels of a block's side


@dataclass(frozen=True)
class Plane:
    """A colour plane: `width` x `height` samples, each of `factors` (down, across) pixels, in rows of `stride` blocks.

    Its blocks begin at `start`. `rows` and `stride` count the blocks of whole units of an interleaved scan, of which
    `high` and `wide` hold samples; `units`: blocks of a unit (down, across).
    """

    width: int
    height: int
    factors: tuple[int, int]
    units: tuple[int, int]
    start: int
    rows: int
    stride: int

    @property
    def wide(self) -> int:
        return -(-self.width // BLOCK)

    @property
    def high(self) -> int:
        return -(-self.height // BLOCK)

    def blocks(self, coefs: np.ndarray) -> np.ndarray:
        """(rows, stride, ...) view of what is one for each block."""
        return coefs[self.start : self.start + self.rows * self.stride].reshape(
            self.rows, self.stride, *coefs.shape[1:]
        )


def planes_of(frame: Frame) -> tuple[Plane, ...]:
    """The planes of a frame, one behind the other."""
    widest, tallest = (max(getattr(one, side) for one in frame.components) for side in ("across", "down"))
    units = -(-frame.height // (BLOCK * tallest)), -(-frame.width // (BLOCK * widest))
    planes: list[Plane] = []
    for one in frame.components:
        planes.append(
            Plane(
                width=-(-frame.width * one.across // widest),
                height=-(-frame.height * one.down // tallest),
                factors=(tallest // one.down, widest // one.across),
                units=(one.down, one.across),
                start=planes[-1].start + planes[-1].rows * planes[-1].stride if planes else 0,
                rows=units[0] * one.down,
                stride=units[1] * one.across,
            )
        )
    return tuple(planes)


def blocks_of(planes: tuple[Plane, ...]) -> int:
    return planes[-1].start + planes[-1].rows * planes[-1].stride


@dataclass(frozen=True)
class Grid:
    """The units of a scan, (down, across), and for every block of a unit a row of `plan`.

    A row: first block, step across, step down, plane of the scan, rows of the DC and AC tables in `tables`, which are
    indices of the structure's. `tall`: units of one plane in the height of a unit of all.
    """

    down: int
    across: int
    plan: np.ndarray
    tables: tuple[int, ...]
    tall: int

    @property
    def count(self) -> int:
        return self.down * self.across


def grid_of(planes: tuple[Plane, ...], scan: ScanHeader) -> Grid:
    """How a scan goes through the blocks: unit by unit, or block by block where it is of one plane."""
    tables = tuple(sorted({*scan.dc, *scan.ac} - {-1}))
    row_of = {table: row for row, table in enumerate(tables)} | {-1: 0}
    plan = []
    alone = len(scan.components) == 1
    for index, number in enumerate(scan.components):
        plane = planes[number]
        down, across = (1, 1) if alone else plane.units
        for y in range(down):
            for x in range(across):
                first = plane.start + y * plane.stride + x
                used = row_of[scan.dc[index]], row_of[scan.ac[index]]
                plan.append((first, across, down * plane.stride, index, *used))
    first_plane = planes[scan.components[0]]
    if alone:
        size = first_plane.high, first_plane.wide
    else:
        size = first_plane.rows // first_plane.units[0], first_plane.stride // first_plane.units[1]
    return Grid(*size, np.array(plan, np.int64), tables, first_plane.units[0] if alone else 1)
