"""A PNG file cut at its pixel data: everything before and behind it stays as it is, byte for byte."""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from provenance.embedding.errors import NotMarkableError
from provenance.intake.images import PIXEL_CAP

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, COLOUR: 3, PALETTE: 1, GREY_ALPHA: 2, COLOUR_ALPHA: 4}
_DEPTHS = {GREY: (1, 2, 4, 8, 16), PALETTE: (1, 2, 4, 8)}  # of the other colour types: 8 and 16
_ANIMATED = {b"acTL", b"fcTL", b"fdAT"}
# Chunks that name themselves unsafe to copy once pixels change, but stay true: they say how to read pixels.
_STILL_TRUE = {
    *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP"),
    *(b"mDCV", b"bKGD", b"pCAL", b"sCAL"),
}
LIBPNG_LIMIT = 1 << 13  # bytes; libpng cuts its IDAT there
PILLOW_LIMIT = 1 << 16  # bytes; Pillow cuts there, or at four bytes for each pixel of a row


@dataclass(frozen=True)
class Header:
    """What IHDR says. `depth` in bits per channel; `colour` as the specification numbers it."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    @property
    def channels(self) -> int:
        return CHANNELS[self.colour]

    @property
    def pixel_bytes(self) -> int:
        """The distance at which row filters look back."""
        return max(1, self.channels * self.depth // 8)


@dataclass(frozen=True)
class Layout:
    """A PNG file as written.

    Attributes:
        before: bytes up to the first IDAT. sizes: of the IDAT chunks. stream: what they hold together. after: bytes
        behind the last IDAT, those behind IEND too. kinds: of all chunks, in order.
        palette: body of PLTE. transparency: body of a tRNS that stands before the pixels.
    """

    header: Header
    before: bytes
    sizes: tuple[int, ...]
    stream: bytes
    after: bytes
    kinds: tuple[bytes, ...]
    palette: bytes
    transparency: bytes | None

    def with_stream(self, stream: bytes, limits: Sequence[int]) -> bytes:
        """The file with another zlib stream, cut into chunks as the source's is.

        limits: bytes at which writers of such a stream may cut, rising. A single chunk does not show where its own
        would, so it may not come to hold more than the next one. Raises NotMarkableError.
        """
        limit = self.sizes[0]
        if len(self.sizes) == 1:
            limit = next((size for size in limits if size >= limit), max(limit, len(stream)))
            if len(stream) > limit:
                raise NotMarkableError(
                    "The marked PNG is too long for one chunk of pixel data, and how its writer would cut is unknown."
                )
        pieces = (stream[start : start + limit] for start in range(0, len(stream), limit))
        return b"".join([self.before, *(chunk(b"IDAT", piece) for piece in pieces), self.after])


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def parse(data: bytes) -> Layout:
    """Cut a PNG into its parts. Raises NotMarkableError for a damaged one, and for one that is animated."""
    found = list(_chunks(data))
    kinds = tuple(kind for kind, _, _ in found)
    if not _ANIMATED.isdisjoint(kinds):
        raise NotMarkableError("An animated PNG would lose its frames.")
    pixels = [index for index, kind in enumerate(kinds) if kind == b"IDAT"]
    if kinds[0] != b"IHDR" or kinds.count(b"IHDR") != 1 or not pixels or pixels[-1] - pixels[0] >= len(pixels):
        raise _damaged()
    first, last = pixels[0], pixels[-1]
    ahead = {kind: data[start + 8 : end - 4] for kind, start, end in found[:first]}
    bodies = [data[start + 8 : end - 4] for _, start, end in found[first : last + 1]]
    return Layout(
        header=_header(ahead[b"IHDR"], len(ahead.get(b"PLTE", b""))),
        before=data[: found[first][1]],
        sizes=tuple(map(len, bodies)),
        stream=b"".join(bodies),
        after=data[found[last][2] :],
        kinds=kinds,
        palette=ahead.get(b"PLTE", b""),
        transparency=ahead.get(b"tRNS"),
    )


def check_writable(layout: Layout) -> None:
    """Raises NotMarkableError for chunks that a change of pixels would make false, and for sizes without a rule."""
    for kind in layout.kinds:
        if kind not in _STILL_TRUE and (not kind[0] & 0x20 or not kind[3] & 0x20):
            name = kind.decode("latin-1")
            raise NotMarkableError(f"The PNG's chunk {name} would be false once pixels change, and missing without it.")
    sizes: Sequence[int] = layout.sizes
    if any(size != sizes[0] for size in sizes[:-1]) or not 0 < sizes[-1] <= sizes[0]:
        raise NotMarkableError("The PNG's pixel data are cut into chunks by a rule that we do not know.")


def _header(body: bytes, palette: int) -> Header:
    try:
        width, height, depth, colour, method, filters, interlace = struct.unpack(">IIBBBBB", body)
    except struct.error as error:
        raise _damaged() from error
    known = colour in CHANNELS and depth in _DEPTHS.get(colour, (8, 16)) and (method, filters) == (0, 0)
    has_palette = 0 < palette <= 768 and palette % 3 == 0
    if not known or interlace > 1 or not width or not height or (colour == PALETTE and not has_palette):
        raise _damaged()
    if width * height > PIXEL_CAP:
        raise NotMarkableError(f"The PNG has more than {PIXEL_CAP:,} pixels.")
    return Header(width, height, depth, colour, interlace == 1)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start, end) of every chunk up to IEND; what follows it is no chunk."""
    at, view = len(SIGNATURE), memoryview(data)
    if data[:at] != SIGNATURE:
        raise _damaged()
    while True:
        if at + 12 > len(data):
            raise _damaged()
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data) or struct.unpack_from(">I", data, end - 4)[0] != zlib.crc32(view[at + 4 : end - 4]):
            raise _damaged()
        yield kind, at, end
        if kind == b"IEND":
            return
        at = end


def _damaged() -> NotMarkableError:
    return NotMarkableError("The PNG's chunks are damaged.")
