"""A region of a JPEG changed band by band: what it was, should be and is now stays in a processor's own cache.

Pixels of a band are mixed from more than its coefficients, with its neighbours' samples: so the source is decoded one
band ahead of what changes, and what came of it one band behind.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from provenance.embedding import sums
from provenance.embedding.jpeg.decoding import Decoder, Region
from provenance.embedding.jpeg.loops.forward import add_difference
from provenance.embedding.jpeg.structure import Structure
from provenance.marks.registry import Rows

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
        shape = self._band, box[3], colours.channels
        self._wanted, self._seen = [np.empty(shape, np.uint8) for _ in range(2)], np.empty(shape, np.uint8)

    def change(
        self, coefs: np.ndarray, tried: np.ndarray | None = None
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Change the coefficients; yields top, and (h, w, C) pixels before and after, of the box's bands one by one.

        What is yielded holds until the next is. tried: coefficients after a first change; what they miss of what was
        wanted is asked for once more. The sums are in `sums` afterwards.
        """
        top, _, height, _ = self._box
        bands = [(start, min(start + self._band, top + height)) for start in range(top, top + height, self._band)]
        held = 2 * max(self._band, self._rows.reach) + 3 * self._band
        before = _Ahead(self._decoder, coefs, self._box, self._band, held)
        self.sums, behind = Sums(), None
        for number, (start, end) in enumerate(bands):
            first = max(top, min(start - self._band, start - self._rows.reach))
            before.reach(first, end + max(self._band, self._rows.reach))
            wanted = self._wanted[number % 2][: end - start]
            self._mix(before, start, wanted)
            source = before.rows(start, end)
            asked = wanted if tried is None else self._asked_again(tried, start, wanted)
            add_difference(
                source, asked, start, self._box[1], self._decoder.size,
                self._planes, self._weights, self._steps, coefs, self._changed,
            )  # fmt: skip
            if behind:
                yield self._compared(coefs, before, *behind)
            behind = start, wanted
        if behind:
            yield self._compared(coefs, before, *behind)

    def _asked_again(self, tried: np.ndarray, start: int, wanted: np.ndarray) -> np.ndarray:
        """What to ask for so that more comes of it in the region."""
        top, left, height, width = self._region
        inside = (
            slice(max(top - start, 0), max(top + height - start, 0)),
            slice(left - self._box[1], left - self._box[1] + width),
        )
        missed = wanted.astype(np.int16) - self._decoder.window(tried, (start, self._box[1], *wanted.shape[:2]))
        asked = wanted.copy()
        asked[inside] = np.clip(wanted + missed, 0, 255)[inside]
        return asked

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

    def _compared(self, coefs: np.ndarray, before: _Ahead, start: int, wanted: np.ndarray) -> Band:
        source, seen = before.rows(start, start + len(wanted)), self._seen[: len(wanted)]
        self._decoder.decode(coefs, start, self._box[1], seen)
        found = sums.compared(source.reshape(-1), wanted.reshape(-1), seen.reshape(-1))
        total = self.sums
        self.sums = Sums(
            total.distance + int(found[0]),
            total.energy + int(found[1]),
            total.common + int(found[2]),
            total.squared + int(found[3]),
        )
        return start, source, seen
