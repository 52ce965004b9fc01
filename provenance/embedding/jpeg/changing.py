"""A region of a JPEG changed band by band: what it was, should be and is now stays in a processor's own cache.

Pixels of a band are mixed from more than its coefficients, with its neighbours' samples: so the source is decoded one
band ahead of what changes, and what came of it is settled one band behind, and compared but for its last row.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from provenance.embedding import sums
from provenance.embedding.jpeg.decoding import Decoder, Region
from provenance.embedding.jpeg.loops.detail import PARTS, keep_detail
from provenance.embedding.jpeg.loops.forward import add_difference
from provenance.embedding.jpeg.settling import Coder
from provenance.embedding.jpeg.structure import Structure
from provenance.marks.registry import Rows

_LARGEST = 1023  # of a quantised coefficient in baseline coding; DC goes one further down
_MOST_BANDS = 64  # of a picture that settles and keeps its detail; a larger one would take too long
_LARGEST_PARTS = 2047 * PARTS  # of a difference
Band = tuple[int, np.ndarray, np.ndarray]


@dataclass
class Sums:
    """Over all pixels and channels, as `sums.compared` has them."""

    distance: int = 0
    energy: int = 0
    common: int = 0
    squared: int = 0

    @property
    def survival(self) -> float:
        return self.common / self.energy if self.energy else 0.0


def rounds_for(asked: int, bands: int) -> int:
    """Rounds of settling of each band of a picture that has several."""
    return max(1, asked // bands) if bands <= _MOST_BANDS else 0  # most comes of the first


class _Ahead:
    """Rows of the source's pixels in a box, decoded in bands before they are needed, held until they are not."""

    def __init__(self, decoder: Decoder, coefs: np.ndarray, box: Region, band: int, held: int) -> None:
        self._decoder, self._coefs, self._box, self._band = decoder, coefs, box, band
        self._pixels = np.empty((min(2 * held, box[2]), box[3], decoder.colours.channels), np.uint8)
        self.first = self._last = box[0]

    def reach(self, first: int, last: int) -> None:
        """Have the rows up to `last`; those before `first` are needed no more."""
        end = self._box[0] + self._box[2]
        while self._last < min(last, end):
            rows = min(self._band, end - self._last)
            if self._last + rows - self.first > len(self._pixels):
                kept = self.rows(first, self._last)
                self._pixels[: len(kept)] = kept
                self.first = first
            self._last += rows
            self._decoder.decode(self._coefs, self._last - rows, self._box[1], self.rows(self._last - rows, self._last))

    def rows(self, first: int, last: int) -> np.ndarray:
        return self._pixels[first - self.first : last - self.first]


@dataclass(frozen=True)
class Asked:
    """How the coefficients are changed.

    Attributes:
        rounds: of settling, at most; fewer where a picture has several bands. tried: coefficients after another change;
            `part` of what they miss of what was wanted is asked for as well.
    """

    rounds: int
    tried: np.ndarray | None = None
    part: float = 0.0


@dataclass
class _Behind:
    """A band that is changed: its first row, what it should be, and how many coefficients changed in its source."""

    start: int
    wanted: np.ndarray
    changes: np.ndarray

    @property
    def end(self) -> int:
        return self.start + len(self.wanted)


class Changing:
    """Changes the coefficients of a region in place.

    Args:
        box: the region (top, left, height, width) with all pixels that change with it, from whole units on. rows: what
            to change, in rows of the region. changed: (blocks,) uint8, set for blocks that get new coefficients.
    """

    def __init__(
        self, structure: Structure, decoder: Decoder, box: Region, region: Region, rows: Rows, changed: np.ndarray
    ) -> None:
        self._decoder, self._box, self._region, self._rows, self._changed = decoder, box, region, rows, changed
        planes, colours = decoder.planes, decoder.colours
        self._planes = np.array([(one.height, *one.factors, one.start, one.stride) for one in planes])
        self._weights = np.array([colours.weights(number) for number in range(len(planes))], np.float32)
        self._steps = np.array(structure.steps, np.float32)
        self._band = decoder.band(box[3])
        self._coder = Coder(structure, decoder, box[1], min(self._band, box[2]), box[3])
        shape = self._band, box[3], colours.channels
        self._wanted, self._seen = [np.empty(shape, np.uint8) for _ in range(2)], np.empty(shape, np.uint8)
        self._parts = np.empty((len(self._coder.coded) if rows.reach else 0, 64), np.int16)  # of differences
        self._edge = np.empty((0, *shape[1:]), np.uint8)  # what the last row of the band before should be

    def change(self, coefs: np.ndarray, asked: Asked) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Change the coefficients; yields top, and (h, w, C) pixels before and after, of parts of the box one by one.

        What is yielded holds until the next is. The sums are in `sums` afterwards, the number of bands in `bands`.
        """
        top, _, height, _ = self._box
        bands = [(start, min(start + self._band, top + height)) for start in range(top, top + height, self._band)]
        self.bands = len(bands)
        held = 2 * max(self._band, self._rows.reach) + 3 * self._band
        before = _Ahead(self._decoder, coefs, self._box, self._band, held)
        rounds = rounds_for(asked.rounds, len(bands))
        self._keeps = rounds > 0
        self.sums, behind = Sums(), None
        for number, (start, end) in enumerate(bands):
            first = max(top, min(start - self._band - 1, start - self._rows.reach))
            before.reach(first, end + max(self._band, self._rows.reach))
            wanted = self._wanted[number % 2][: end - start]
            self._mix(before, start, wanted)
            source = before.rows(start, end)
            changes = self._coder.changes(coefs, source, start) if rounds else np.empty(0, np.uint8)
            self._add(coefs, source, self._asked(asked, start, wanted), start)
            if behind:
                yield from self._settled(coefs, before, behind, rounds)
            behind = _Behind(start, wanted, changes)
        if behind:
            yield from self._settled(coefs, before, behind, rounds)

    def _add(self, coefs: np.ndarray, source: np.ndarray, wanted: np.ndarray, start: int) -> None:
        """Add what a band of pixels differs by; where they are moved, without the smoothing that comes of it."""
        where, steps = (start, self._box[1], self._decoder.size), self._steps
        if not (self._rows.reach and self._keeps):
            planes = self._planes, self._weights, steps
            add_difference(source, wanted, *where, *planes, _LARGEST, coefs, self._changed)
            return
        blocks = self._coder.blocks(start, len(source))
        local = self._planes.copy()
        local[:, 4] = blocks[:, 3]
        local[:, 3] = blocks[:, 2] - start // (8 * local[:, 1]) * local[:, 4] - self._box[1] // (8 * local[:, 2])
        self._parts.fill(0)
        touched = np.zeros(len(self._parts), np.uint8)
        planes = local, self._weights, steps / np.float32(PARTS)
        add_difference(source, wanted, *where, *planes, _LARGEST_PARTS, self._parts, touched)
        keep_detail(coefs, self._parts, touched, self._changed, blocks)

    def _asked(self, asked: Asked, start: int, wanted: np.ndarray) -> np.ndarray:
        """What to ask for so that more of what is wanted, or less that is not, comes of it in the region."""
        if asked.tried is None:
            return wanted
        top, left, height, width = self._region
        inside = (
            slice(max(top - start, 0), max(top + height - start, 0)),
            slice(left - self._box[1], left - self._box[1] + width),
        )
        missed = wanted.astype(np.int16) - self._decoder.window(asked.tried, (start, self._box[1], *wanted.shape[:2]))
        more = wanted.copy()
        more[inside] = np.clip(wanted + np.rint(missed * np.float32(asked.part)), 0, 255)[inside]
        return more

    def _mix(self, before: _Ahead, start: int, wanted: np.ndarray) -> None:
        """What a band should be: the mark where it is in the region, elsewhere what was."""
        top, left, height, width = self._region
        first, last = max(start, top), min(start + len(wanted), top + height)
        if (left, width) == (self._box[1], self._box[3]) and (first, last) == (start, start + len(wanted)):
            reached = max(top, first - self._rows.reach), min(top + height, last + self._rows.reach)
            self._rows.mix(before.rows(*reached), reached[0] - top, first - top, wanted)
            return
        wanted[...] = before.rows(start, start + len(wanted))
        if first < last:
            reached = max(top, first - self._rows.reach), min(top + height, last + self._rows.reach)
            columns = slice(left - self._box[1], left - self._box[1] + width)
            under = np.ascontiguousarray(before.rows(*reached)[:, columns])
            mixed = np.empty((last - first, *under.shape[1:]), np.uint8)
            self._rows.mix(under, reached[0] - top, first - top, mixed)
            wanted[first - start : last - start, columns] = mixed

    def _settled(self, coefs: np.ndarray, before: _Ahead, band: _Behind, rounds: int) -> Iterator[Band]:
        """Settle a band, and compare what is not to change any more: all but its last row, which is smoothed with the
        band below, and that of the band above.
        """
        seen = self._seen[: len(band.wanted)]
        self._decoder.decode(coefs, band.start, self._box[1], seen)
        for _ in range(rounds):
            if not self._coder.settle(coefs, seen, band.start, band.changes, self._changed):
                break
            self._decoder.decode(coefs, band.start, self._box[1], seen)
        if band.start > self._box[0]:
            row = np.empty_like(self._edge)
            self._decoder.decode(coefs, band.start - 1, self._box[1], row)
            yield self._compared(before, band.start - 1, self._edge, row)
        is_last = band.end == self._box[0] + self._box[2]
        count = len(band.wanted) - (not is_last)
        self._edge = band.wanted[count:].copy()
        yield self._compared(before, band.start, band.wanted[:count], seen[:count])

    def _compared(self, before: _Ahead, start: int, wanted: np.ndarray, seen: np.ndarray) -> Band:
        source = before.rows(start, start + len(wanted))
        found = sums.compared(source.reshape(-1), wanted.reshape(-1), seen.reshape(-1))
        total = self.sums
        self.sums = Sums(
            total.distance + int(found[0]),
            total.energy + int(found[1]),
            total.common + int(found[2]),
            total.squared + int(found[3]),
        )
        return start, source, seen
