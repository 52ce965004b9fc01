"""What becomes of a JPEG when a region of it changes: coefficients first, and the file once they are wanted."""

import numpy as np

from provenance.embedding.carried.seen import Seen, is_small_part
from provenance.embedding.jpeg.changing import Asked, Changing, rounds_for
from provenance.embedding.jpeg.decoding import Decoder, Region
from provenance.embedding.jpeg.entropy import Picture, read_picture, write_picture
from provenance.embedding.jpeg.planes import Plane
from provenance.embedding.survival import MAX_SURVIVAL, MIN_SURVIVAL
from provenance.embedding.written import Written
from provenance.marks.registry import Rows

ROUNDS = 12, 3  # of settling; fewer where too little of a mark survives it
ASKS = 5
_Follower = tuple[tuple, tuple, np.ndarray]  # where blocks are, where those they follow, and which of them do


class JpegChange:
    """A picture with rows mixed into a region of it.

    Args:
        picture: of the source; its coefficients are changed. box: the region with all pixels that change with it.
    """

    peak = 255

    def __init__(self, picture: Picture, decoder: Decoder, rows: Rows, region: Region, box: Region) -> None:
        self._picture, self._decoder, self._rows, self._region, self._box = picture, decoder, rows, region, box
        shape = *region[2:], decoder.colours.channels
        is_small = is_small_part(region, decoder.size)
        self._pixels = (np.empty(shape, np.uint8), np.empty(shape, np.uint8)) if is_small else None
        self.mode = decoder.colours.mode
        self._make(Asked(ROUNDS[0]))

    @property
    def mean(self) -> float:
        """Mean absolute difference from the source that is wanted, in levels."""
        return self._sums.distance / (self._region[2] * self._region[3] * self._decoder.colours.channels)

    def write(self) -> Written:
        """The file. Blocks in which nothing differs stay as they are. Raises NotMarkableError."""
        if self._sums.energy:
            self._adjust()
        height, width = self._decoder.size
        return Written(
            data=write_picture(self._picture, self._picture.coefs, self._changed),
            survival=self._sums.survival,
            squared=self._sums.squared,
            numbers=height * width * self._decoder.colours.channels,
            seen=Seen((height, width), self._region, *self._pixels, peak=self.peak) if self._pixels else None,
        )

    def _adjust(self) -> None:
        """Ask for part of what is missing, or too much, as long as more or less than what may survive does."""
        tried, wrong = self._picture.coefs, self._wrong
        least, most = 0.0, 2.0
        for _ in range(ASKS):
            if not self._wrong:
                return
            part = (least + most) / 2
            self._make_again(Asked(ROUNDS[0], tried, part))
            if self._wrong == wrong:
                least = part
            else:
                most = part
        most_rounds, fewer = (rounds_for(rounds, self._bands) for rounds in ROUNDS)
        if self._wrong and fewer < most_rounds:  # else it would be what was tried first
            self._make_again(Asked(ROUNDS[1], tried, 1.0))

    @property
    def _wrong(self) -> int:
        """-1 where too little survives, 1 where too much does."""
        return (self._sums.survival > MAX_SURVIVAL) - (self._sums.survival < MIN_SURVIVAL)

    def _make_again(self, asked: Asked) -> None:
        source = self._picture.data, self._picture.structure, self._picture.rows
        del self._picture  # its coefficients are large, and not needed beside the new ones
        self._picture = read_picture(*source)
        self._make(asked)

    def _make(self, asked: Asked) -> None:
        """Change the coefficients."""
        coefs = self._picture.coefs
        self._changed = np.zeros(len(coefs), np.uint8)
        followers = [_followers(plane.blocks(coefs), plane) for plane in self._decoder.planes]
        changing = Changing(self._picture.structure, self._decoder, self._box, self._region, self._rows, self._changed)
        for top, before, after in changing.change(coefs, asked):
            self._keep(top, before, after)
        self._sums, self._bands = changing.sums, changing.bands
        for plane, found in zip(self._decoder.planes, followers, strict=True):
            _follow(plane.blocks(coefs), plane.blocks(self._changed), found)

    def _keep(self, start: int, *bands: np.ndarray) -> None:
        """The region's part of a band of the box, before and after, where they are small enough to be held."""
        if self._pixels is None:
            return
        top, left, height, width = self._region
        first, last = max(start, top), min(start + len(bands[0]), top + height)
        columns = slice(left - self._box[1], left - self._box[1] + width)
        for kept, band in zip(self._pixels, bands, strict=True):
            if first < last:
                kept[first - top : last - top] = band[first - start : last - start, columns]


def _followers(coefs: np.ndarray, plane: Plane) -> list[_Follower]:
    """Blocks outside the picture that follow the last ones inside; encoders fill the last units with their colour.

    coefs: (rows, stride, 64), before they change.
    """
    places: list[tuple[tuple, tuple]] = [
        ((slice(None), column), (slice(None), column - 1)) for column in range(plane.wide, plane.stride)
    ]
    across = plane.units[1]
    for row in range(plane.high, plane.rows):
        for column in range(across):
            here, last = slice(column, None, across), slice(across - 1, None, across)
            places.append(((row, here), (row - 1, last)))
    return [(at, model, _has_level_of(coefs[at], coefs[model])) for at, model in places]


def _has_level_of(blocks: np.ndarray, models: np.ndarray) -> np.ndarray:
    alike: np.ndarray = (blocks[..., 0] == models[..., 0]) & ~blocks[..., 1:].any(axis=-1)
    return alike


def _follow(coefs: np.ndarray, changed: np.ndarray, followers: list[_Follower]) -> None:
    """Let them follow what is new."""
    for at, model, follows in followers:
        differs = follows & (coefs[model][..., 0] != coefs[at][..., 0])
        coefs[at][..., 0][differs] = coefs[model][..., 0][differs]
        changed[at][differs] = 1
