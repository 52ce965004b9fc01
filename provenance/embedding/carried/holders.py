"""Thumbnails outside EXIF: of JFIF and its extension in APP0 (JFIF 1.02), and Photoshop's in APP13."""

import struct
from collections.abc import Iterator

import numpy as np

from provenance.embedding.carried.redrawing import Redrawing
from provenance.embedding.errors import NotMarkableError

_JPEG, _PALETTE, _RGB = 0x10, 0x11, 0x13
PHOTOSHOP = b"Photoshop 3.0\0"
_THUMBNAILS = {1036: False, 1033: True}  # of Photoshop's resources: whether red and blue are exchanged
_HEADER = struct.Struct(">IIIIIIHH")  # format, width, height, bytes of a row, of all, compressed; bits, planes
_RAW, _COMPRESSED = 0, 1


def with_jfif_thumbnail(payload: bytes, redrawing: Redrawing) -> bytes:
    """An APP0 segment's bytes with the thumbnail in it drawn anew, where there is one. Raises NotMarkableError."""
    if payload.startswith(b"JFIF\0") and len(payload) > 14:
        return payload[:14] + _raw(payload[12], payload[13], payload[14:], redrawing)
    if not payload.startswith(b"JFXX\0") or len(payload) < 6:
        return payload
    head, code, rest = payload[:6], payload[5], payload[6:]
    if code == _JPEG:
        return head + redrawing.jpeg(rest)
    if code == _RGB and len(rest) > 2:
        return head + rest[:2] + _raw(rest[0], rest[1], rest[2:], redrawing)
    if code == _PALETTE and len(rest) > 770:
        return head + rest[:770] + _paletted(rest[0], rest[1], rest[2:770], rest[770:], redrawing)
    return payload


def _raw(width: int, height: int, data: bytes, redrawing: Redrawing) -> bytes:
    size = 3 * width * height
    if not size or len(data) < size:
        return data
    return redrawing.pixels(np.frombuffer(data[:size], np.uint8).reshape(height, width, 3)).tobytes() + data[size:]


def _paletted(width: int, height: int, palette: bytes, data: bytes, redrawing: Redrawing) -> bytes:
    """The palette stays; a pixel that changes gets its nearest colour."""
    size = width * height
    if not size or len(data) < size:
        return data
    colours = np.frombuffer(palette, np.uint8).reshape(256, 3)
    indices = np.frombuffer(data[:size], np.uint8).reshape(height, width).copy()
    before = colours[indices]
    after = redrawing.pixels(before)
    changed = (after != before).any(axis=2)
    distance = ((after[changed].astype(np.int64)[:, None, :] - colours.astype(np.int64)) ** 2).sum(axis=2)
    indices[changed] = distance.argmin(axis=1)
    return indices.tobytes() + data[size:]


def with_photoshop_thumbnails(payload: bytes, redrawing: Redrawing) -> bytes:
    """An APP13 segment's bytes with Photoshop's thumbnails drawn anew; other resources byte for byte.

    Raises NotMarkableError where one is cut off, as where the resources go on in another segment.
    """
    written, at = [payload[: len(PHOTOSHOP)]], len(PHOTOSHOP)
    for start, body, stop, end in _resources(payload):
        name = struct.unpack_from(">H", payload, start + 4)[0]
        content = payload[body:stop]
        if name in _THUMBNAILS:
            drawn = _with_thumbnail(content, _THUMBNAILS[name], redrawing)
            padding = bytes(len(drawn) & 1) if end - stop == len(content) & 1 else payload[stop:end]
            written.append(payload[start : body - 4] + struct.pack(">I", len(drawn)) + drawn + padding)
        else:
            written.append(payload[start:end])
        at = end
    rest = payload[at:]
    if any(b"8BIM" + struct.pack(">H", name) in rest for name in _THUMBNAILS):
        raise NotMarkableError("Its thumbnail is cut off.")
    return b"".join([*written, rest])


def _resources(payload: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Of each whole resource: where it starts, where its content starts and ends, where it ends with its padding."""
    at = len(PHOTOSHOP)
    while payload[at : at + 4] == b"8BIM" and at + 12 <= len(payload):
        name = payload[at + 6]
        body = at + 6 + (name + 2 & ~1) + 4
        if body > len(payload):
            return
        stop = body + int.from_bytes(payload[body - 4 : body], "big")
        if stop > len(payload):
            return
        end = min(stop + (stop - body & 1), len(payload))
        yield at, body, stop, end
        at = end


def _with_thumbnail(content: bytes, swapped: bool, redrawing: Redrawing) -> bytes:
    if len(content) < _HEADER.size:
        raise NotMarkableError("Its thumbnail is cut off.")
    form, width, height, row, total, compressed, bits, planes = _HEADER.unpack_from(content)
    data = content[_HEADER.size :]
    if form == _COMPRESSED and compressed <= len(data):
        drawn = redrawing.jpeg(data[:compressed], swapped)
        head = _HEADER.pack(form, width, height, row, total, len(drawn), bits, planes)
        return head + drawn + data[compressed:]
    if form == _RAW and (bits, planes) == (24, 1) and 0 < 3 * width <= row and row * height <= len(data):
        rows = np.frombuffer(data[: row * height], np.uint8).reshape(height, row).copy()
        pixels = rows[:, : 3 * width].reshape(height, width, 3)
        turned = pixels[:, :, ::-1] if swapped else pixels
        drawn_pixels = redrawing.pixels(turned)
        rows[:, : 3 * width] = (drawn_pixels[:, :, ::-1] if swapped else drawn_pixels).reshape(height, 3 * width)
        return content[: _HEADER.size] + rows.tobytes() + data[row * height :]
    raise NotMarkableError("Its thumbnail is of a form that cannot be drawn anew.")
