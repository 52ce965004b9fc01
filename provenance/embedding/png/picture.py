"""A decoded PNG: rows and samples as the file has them, and the stored pixels that a mark is mixed into."""

import struct
from dataclasses import dataclass

import numpy as np

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.png.chunks import COLOUR, COLOUR_ALPHA, GREY, GREY_ALPHA, PALETTE, Header, Layout, parse
from provenance.embedding.png.scanlines import Pass, inflate, passes, unfiltered, unpacked
from provenance.embedding.raster import Raster

_MODES = {COLOUR: "RGB", PALETTE: "P", GREY_ALPHA: "LA", COLOUR_ALPHA: "RGBA"}


@dataclass(frozen=True)
class Picture:
    """Attributes:
    stream: (n,) uint8, inflated. raw: of every pass, (h, length) uint8 rows without their filters.
    samples: (H, W, C) as the file has them, palette indices too. palette: (entries, 3 or 4) uint8, if there is one.
    """

    layout: Layout
    passes: list[Pass]
    stream: np.ndarray
    raw: list[np.ndarray]
    samples: np.ndarray
    palette: np.ndarray
    raster: Raster

    @property
    def header(self) -> Header:
        return self.layout.header

    @property
    def transparent(self) -> tuple[int, ...] | None:
        """The sample that stands for transparent in a grey or coloured picture without alpha."""
        body, header = self.layout.transparency, self.header
        if body is None or header.colour not in (GREY, COLOUR):
            return None
        if len(body) != 2 * header.channels:
            raise NotMarkableError("The PNG's transparent colour is damaged.")
        # Bits above the depth say nothing.
        return tuple(level % 2**header.depth for level in struct.unpack(f">{header.channels}H", body))


def read_png(data: bytes) -> Picture:
    """Decode a PNG of any kind. Raises NotMarkableError where it is damaged."""
    layout = parse(data)
    header = layout.header
    parts = passes(header)
    stream = inflate(layout.stream, parts[-1].end)
    raw = [unfiltered(part.rows(stream), header.pixel_bytes) for part in parts]
    samples = np.empty(
        (header.height, header.width, header.channels), dtype=np.uint16 if header.depth == 16 else np.uint8
    )
    for part, rows in zip(parts, raw, strict=True):
        part.of(samples)[:] = unpacked(rows, part.width, header)
    palette = _palette(layout)
    return Picture(layout, parts, stream, raw, samples, palette, _raster(header, samples, palette))


def _palette(layout: Layout) -> np.ndarray:
    if layout.header.colour != PALETTE:
        return np.empty((0, 3), dtype=np.uint8)
    colours = np.frombuffer(layout.palette, dtype=np.uint8).reshape(-1, 3)
    if layout.transparency is None:
        return colours
    alphas = np.full(len(colours), 255, dtype=np.uint8)
    known = np.frombuffer(layout.transparency, dtype=np.uint8)[: len(colours)]
    alphas[: len(known)] = known
    return np.concatenate([colours, alphas[:, None]], axis=1)


def _raster(header: Header, samples: np.ndarray, palette: np.ndarray) -> Raster:
    """Few grey levels are spread over 256, and palettes are looked up."""
    if header.colour == PALETTE:
        if samples.max() >= len(palette):
            raise NotMarkableError("The PNG has pixels of colours that its palette lacks.")
        return Raster("P", palette[samples[..., 0]], 3)
    colours = 1 if header.colour in (GREY, GREY_ALPHA) else 3
    if header.colour != GREY:
        mode = "RGBA" if (header.depth, header.colour) == (16, GREY_ALPHA) else _MODES[header.colour]
        return Raster(mode, samples, colours)
    if header.depth >= 8:
        return Raster("L" if header.depth == 8 else "I;16", samples, 1)
    return Raster("1" if header.depth == 1 else "L", samples * np.uint8(level_step(header)), 1)


def level_step(header: Header) -> int:
    """Levels of 256 between two samples of a grey picture of few bits."""
    return 255 // (2**header.depth - 1)
