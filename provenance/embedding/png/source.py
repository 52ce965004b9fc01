"""A PNG that can be written like itself (docs/decisions/0015-png-and-webp-like-the-source.md)."""

import numpy as np

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.png.chunks import LIBPNG_LIMIT, PILLOW_LIMIT, check_writable
from provenance.embedding.png.deflate import Deflated
from provenance.embedding.png.filters import PILLOW, apply, chosen, rule_of
from provenance.embedding.png.picture import read_png
from provenance.embedding.png.samples import samples_of
from provenance.embedding.png.scanlines import Pass, packed
from provenance.embedding.raster import Raster

Region = tuple[int, int, int, int]  # top, left, height, width


class PngSource:
    """Raises NotMarkableError, with the reason, for a file that could not be written byte for byte as it is."""

    format = "PNG"

    def __init__(self, data: bytes) -> None:
        self._picture = read_png(data)
        layout, header = self._picture.layout, self._picture.header
        check_writable(layout)
        if self._picture.transparent is not None and header.depth == 1:
            raise NotMarkableError("Black or white stands for transparent here, so no pixel can change and be shown.")
        self._deflated = Deflated(layout.stream, self._picture.stream)
        filters = [part.rows(self._picture.stream)[:, 0] for part in self._picture.passes]
        self._rule = rule_of(list(zip(filters, self._picture.raw, strict=True)), header.pixel_bytes)

    @property
    def raster(self) -> Raster:
        return self._picture.raster

    def write(self, pixels: np.ndarray, region: Region) -> bytes:
        """The file with (H, W, C) `pixels` inside `region`. Rows that keep their samples keep their bytes."""
        top, left, height, width = region
        window = (slice(top, top + height), slice(left, left + width))
        samples = self._picture.samples.copy()
        samples[window] = samples_of(self._picture, pixels, window)
        stream = self._picture.stream.copy()
        for part, raw in zip(self._picture.passes, self._picture.raw, strict=True):
            self._write_pass(part, raw, samples, part.rows(stream))
        differ = np.flatnonzero(stream != self._picture.stream)
        same = int(differ[0]) if len(differ) else len(stream)
        return self._picture.layout.with_stream(self._deflated.again(stream, same), self._limits())

    def _limits(self) -> list[int]:
        """Where the source's writer may cut pixel data into chunks, as far as other choices tell who it is."""
        of_pillow = max(PILLOW_LIMIT, 4 * self._picture.header.width)
        is_pillow = self._rule == PILLOW or self._deflated.recipe.library == "zlib-ng"
        return [of_pillow] if is_pillow else [LIBPNG_LIMIT, of_pillow]

    def _write_pass(self, part: Pass, raw: np.ndarray, samples: np.ndarray, rows: np.ndarray) -> None:
        """Put the changed rows of a pass into `rows`, and the ones below, whose filters look up at them."""
        header = self._picture.header
        before, after = part.of(self._picture.samples), part.of(samples)
        changed = np.flatnonzero((before != after).any(axis=(1, 2)))
        if not len(changed):
            return
        again = raw.copy()
        again[changed] = packed(after[changed], header, raw[changed])
        touched = np.union1d(changed, changed + 1)
        touched = touched[touched < part.height]
        kinds = rows[touched, 0]
        if self._rule:
            kinds = chosen(self._rule, again, touched, header.pixel_bytes)
        rows[touched] = apply(kinds, again, touched, header.pixel_bytes)
