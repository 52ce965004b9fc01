"""Drawing a thumbnail anew from a marked picture, in its own format, size and quality."""

import io
from functools import cached_property

import numpy as np
from PIL import Image

from provenance.embedding.carried.fitting import fit, made_smaller
from provenance.embedding.carried.seen import Seen
from provenance.embedding.errors import NotMarkableError
from provenance.embedding.sources import open_source
from provenance.intake.claims import claims_of
from provenance.intake.errors import Refused
from provenance.intake.images import FORMATS, Doubtful, inspect

_MOST_PIXELS = 1 << 20  # of a thumbnail
_ENOUGH = 640  # pixels of an edge from which on pictures are made smaller by whole factors first


class Redrawing:
    """A picture before and after marking, each a file, for thumbnails that show it. seen: what is known of it already.

    What the mark changes in the picture, at the thumbnail's size and place, is added to the old thumbnail; so a
    thumbnail stays as it was wherever the mark is not. Raises NotMarkableError.
    """

    def __init__(self, before: bytes, after: bytes, seen: Seen | None = None) -> None:
        self._before = before
        self._after = after
        self._seen = seen

    @cached_property
    def _pictures(self) -> tuple[np.ndarray, np.ndarray]:
        before = _decoded(self._before)
        if self._seen is None or not self._seen.helps:
            return before, _decoded(self._after)
        after = before + self._seen.change(*before.shape[:2])
        return before, np.clip(after, 0, 255).astype(np.uint8)

    @cached_property
    def _orientation(self) -> int:
        try:
            return inspect(self._before)[0].orientation
        except (Refused, Doubtful):
            return 1

    def pixels(self, old: np.ndarray) -> np.ndarray:
        """An (h, w, 3) RGB or (h, w, 1) grey thumbnail, uint8, with the picture's change: the same shape."""
        before, after = self._pictures
        found = fit(old, before, self._orientation)
        change = found.shown(after) - found.shown(before)
        if old.shape[2] == 1:
            change = (change @ np.array([19595, 38470, 7471]) + 32768 >> 16)[:, :, None]
        new = old.astype(np.int64)
        found.place(new)[...] += change
        return np.clip(new, 0, 255).astype(np.uint8)

    def jpeg(self, old: bytes, swapped: bool = False) -> bytes:
        """A JPEG thumbnail with the picture's change, coded like itself. swapped: its red is blue, its blue red."""
        try:
            facts, _ = inspect(old, _MOST_PIXELS)
        except (Refused, Doubtful) as error:
            raise NotMarkableError("Its thumbnail is of a form that cannot be drawn anew.") from error
        if facts.format != "JPEG" or facts.mode not in ("RGB", "L") or claims_of(old):
            raise NotMarkableError("Its thumbnail is of a form that cannot be drawn anew.")
        try:
            source = open_source(old)
        except NotMarkableError as error:
            raise NotMarkableError("Its thumbnail could not be written like itself.", error.sentence) from error
        shown = source.raster.pixels
        order = slice(None, None, -1) if swapped else slice(None)
        drawn = self.pixels(shown[:, :, order])[:, :, order]
        if (drawn == shown).all():
            return old
        return source.write(drawn, (0, 0, *drawn.shape[:2]))


def _decoded(data: bytes) -> np.ndarray:
    """The stored pixels of a file as (H, W, 3) uint8 RGB, not turned by its EXIF; large ones made smaller."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        image.draft(None, (_ENOUGH, _ENOUGH))
        image.load()
        if image.mode.startswith("I"):
            grey = (np.asarray(image).astype(np.int64) + 128) // 257
            pixels = np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
        else:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise NotMarkableError("The image cannot be decoded.", detail=str(error)) from error
    times = min(pixels.shape[:2]) // _ENOUGH
    if times < 2:
        return pixels
    return made_smaller(pixels, pixels.shape[0] // times, pixels.shape[1] // times).astype(np.uint8)
