"""PNG: lossless in its own mode; a palette image keeps its palette where the new colours find room in it."""

import io
import itertools
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from provenance.embedding.errors import NotMarkableError

_CODED = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}  # the encoder's own
_ANIMATED = {b"acTL", b"fcTL", b"fdAT"}
_TIED = {b"bKGD", b"sBIT", b"hIST"}  # mean nothing under another depth or colour type
_GREY, _COLOUR = 0, 2
Chunk = tuple[bytes, bytes]  # kind, whole chunk


def check(data: bytes) -> None:
    """Raises NotMarkableError for a PNG that this library would write back with less than it had."""
    depth, colour = data[24], data[25]
    if data[12:16] != b"IHDR":
        raise NotMarkableError("The PNG's chunks are damaged.")
    if depth == 16 and colour != _GREY:
        raise NotMarkableError("A colour PNG of 16 bits per channel would lose half of its depth.")
    if any(kind in _ANIMATED for kind, _ in _chunks(data)):
        raise NotMarkableError("An animated PNG would lose its frames.")


def transparent_colour(data: bytes) -> tuple[int, ...] | None:
    """The colour that stands for transparent in a grey or RGB PNG, in the levels that Pillow decodes it to."""
    depth, colour = data[24], data[25]
    ahead = dict(itertools.takewhile(lambda chunk: chunk[0] != b"IDAT", _chunks(data)))
    if b"tRNS" not in ahead or colour not in (_GREY, _COLOUR):
        return None
    body = ahead[b"tRNS"][8:-4]
    # Bits above the depth say nothing; few levels are spread over 256.
    spread = 255 // (2**depth - 1) if depth < 8 else 1
    return tuple(level % 2**depth * spread for level in struct.unpack_from(">H" if colour == _GREY else ">HHH", body))


def encode(image: Image.Image, source: Image.Image, data: bytes, transparent: tuple[int, ...] | None = None) -> bytes:
    """Write marked pixels losslessly, with the ancillary chunks of the source around them, byte for byte."""
    options: dict[str, Any] = {}
    if source.mode == "P":
        image, options = with_palette(image, source)
    elif transparent is not None:
        options["transparency"] = transparent if len(transparent) > 1 else transparent[0]
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6, **options)
    return _with_chunks(buffer.getvalue(), data)


def with_palette(image: Image.Image, source: Image.Image) -> tuple[Image.Image, dict[str, Any]]:
    """The marked RGB or RGBA image in the source's palette, extended; as it is where 256 entries do not suffice."""
    marked = np.asarray(image)
    indices = np.array(source)
    channels = marked.shape[2]
    before = np.asarray(source.convert(image.mode))
    changed = (marked != before).any(axis=2)
    palette = np.array(source.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    if channels == 4:
        palette = np.concatenate([palette, _alphas(source, len(palette))[:, None]], axis=1)
    known = {tuple(entry): index for index, entry in reversed(list(enumerate(palette.tolist())))}
    colours, which = np.unique(marked[changed].reshape(-1, channels), axis=0, return_inverse=True)
    fresh = [tuple(colour) for colour in colours.tolist() if tuple(colour) not in known]
    if len(palette) + len(fresh) > 256:
        return image, {}
    known |= {colour: len(palette) + number for number, colour in enumerate(fresh)}
    entries = palette.tolist() + [list(colour) for colour in fresh]
    lookup = np.array([known[tuple(colour)] for colour in colours.tolist()], dtype=np.uint8)
    indices[changed] = lookup[which.reshape(-1)]
    written = Image.fromarray(indices, mode="P")
    written.putpalette([level for entry in entries for level in entry[:3]])
    return written, {"transparency": bytes(entry[3] for entry in entries)} if channels == 4 else {}


def _alphas(source: Image.Image, count: int) -> np.ndarray:
    transparency = source.info["transparency"]
    alphas = np.full(count, 255, dtype=np.uint8)
    if isinstance(transparency, int):
        alphas[transparency] = 0
    else:
        alphas[: len(transparency)] = np.frombuffer(transparency, dtype=np.uint8)[:count]
    return alphas


def _with_chunks(encoded: bytes, source: bytes) -> bytes:
    same_coding = encoded[24:26] == source[24:26]
    places: dict[str, list[bytes]] = {"before palette": [], "before pixels": [], "after pixels": []}
    place = "before palette"
    for kind, chunk in _chunks(source):
        if kind in (b"PLTE", b"tRNS"):
            place = "before pixels"
        elif kind == b"IDAT":
            place = "after pixels"
        elif kind not in _CODED and (same_coding or kind not in _TIED) and kind != b"hIST":
            places["before pixels" if kind == b"bKGD" else place].append(chunk)
    coded: dict[bytes, list[bytes]] = {kind: [] for kind in _CODED}  # a large image has thousands of IDAT
    for kind, chunk in _chunks(encoded):
        if kind in _CODED:
            coded[kind].append(chunk)
    parts = [encoded[:8], *coded[b"IHDR"], *places["before palette"], *coded[b"PLTE"], *coded[b"tRNS"]]
    parts += [*places["before pixels"], *coded[b"IDAT"], *places["after pixels"], *coded[b"IEND"]]
    return b"".join(parts)


def _chunks(data: bytes) -> Iterator[Chunk]:
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        chunk = data[at : at + 12 + length]
        if len(chunk) < 12 + length or struct.unpack(">I", chunk[-4:])[0] != zlib.crc32(chunk[4:-4]):
            raise NotMarkableError("The PNG's chunks are damaged.")
        yield kind, chunk
        at += 12 + length
