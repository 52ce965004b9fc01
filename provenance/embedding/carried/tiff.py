"""The thumbnail in an EXIF block, a TIFF structure: found in its second directory (EXIF 3.0, section 4.5.5)."""

import struct
from dataclasses import dataclass

import numpy as np

from provenance.embedding.carried.redrawing import Redrawing
from provenance.embedding.errors import NotMarkableError
from provenance.intake.parts import JPEG_END, JPEG_START, SCANS, end_of_scans, parts_of

_MOST_ENTRIES = 512
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 0x100, 0x101, 0x102, 0x103, 0x106
_STRIPS, _CHANNELS, _STRIP_BYTES, _PLANAR = 0x111, 0x115, 0x117, 0x11C
_JPEG_AT, _JPEG_BYTES = 0x201, 0x202
_SHORT, _LONG = 3, 4
_SIZES = {_SHORT: 2, _LONG: 4}
_FIXED = 64  # bytes of padding from which on it fills an area of fixed size; fewer only align what follows
_FILLERS = (0x00, 0x20, 0xFF)


@dataclass(frozen=True)
class _Entry:
    kind: int
    at: int  # of its count, behind tag and type
    values: tuple[int, ...]


class _Structure:
    """Reads numbers of a TIFF; raises struct.error beyond its end."""

    def __init__(self, tiff: bytes) -> None:
        self.tiff = tiff
        self.order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4], "")

    def number(self, layout: str, at: int) -> int:
        return int(struct.unpack_from(self.order + layout, self.tiff, at)[0])

    def thumbnail_entries(self) -> dict[int, _Entry]:
        """The second directory's numbers by tag; none where there is no such directory."""
        if not self.order:
            return {}
        first = self.number("I", 4)
        behind_first = first + 2 + 12 * self.number("H", first)
        second = self.number("I", behind_first)
        if second in (0, first):
            return {}
        count = self.number("H", second)
        if count > _MOST_ENTRIES:
            return {}
        starts = range(second + 2, second + 2 + 12 * count, 12)
        return {self.number("H", at): entry for at in starts if (entry := self._entry(at))}

    def _entry(self, at: int) -> _Entry | None:
        kind, count = self.number("H", at + 2), self.number("I", at + 4)
        if kind not in _SIZES or not 1 <= count <= len(self.tiff):
            return None
        size = _SIZES[kind]
        start = at + 8 if size * count <= 4 else self.number("I", at + 8)
        layout = f"{self.order}{count}{'H' if kind == _SHORT else 'I'}"
        return _Entry(kind, at + 4, struct.unpack_from(layout, self.tiff, start))


def with_tiff_thumbnail(tiff: bytes, redrawing: Redrawing) -> bytes:
    """The EXIF block with its thumbnail drawn anew; all else as it was.

    Raises NotMarkableError where the thumbnail cannot be found, drawn, or put into its place without moving what
    others point to, and where the block holds a preview besides.
    """
    structure = _Structure(tiff)
    try:
        entries = structure.thumbnail_entries()
        area = _jpeg_area(entries)
        if area and not tiff[slice(*area)].startswith(JPEG_START):
            raise NotMarkableError("Its thumbnail is of a form that cannot be drawn anew.")
        _check_rest(tiff, [area] if area else _strips(entries))
        if area:
            return _with_jpeg(structure, entries, area, redrawing)
        if _STRIPS in entries:
            return _with_strips(structure, entries, redrawing)
    except struct.error as error:
        if JPEG_START in tiff:
            raise NotMarkableError("Its EXIF is damaged and holds a picture.") from error
    return tiff


def _check_rest(tiff: bytes, areas: list[tuple[int, int]]) -> None:
    """Raises NotMarkableError for a JPEG outside the thumbnail, whose own pixels may look like the start of one."""
    at = 0
    for start, end in [*sorted(areas), (len(tiff), 0)]:
        if JPEG_START in tiff[at:start]:
            raise NotMarkableError("It carries a preview beside its thumbnail, which would show it without the mark.")
        at = max(at, end)


def _strips(entries: dict[int, _Entry]) -> list[tuple[int, int]]:
    if _STRIPS not in entries or _STRIP_BYTES not in entries:
        return []
    pairs = zip(entries[_STRIPS].values, entries[_STRIP_BYTES].values, strict=False)
    return [(start, start + length) for start, length in pairs]


def _jpeg_area(entries: dict[int, _Entry]) -> tuple[int, int] | None:
    if _JPEG_AT not in entries or _JPEG_BYTES not in entries:
        return None
    start, length = entries[_JPEG_AT].values[0], entries[_JPEG_BYTES].values[0]
    return (start, start + length) if length else None


def _with_jpeg(structure: _Structure, entries: dict[int, _Entry], area: tuple[int, int], redrawing: Redrawing) -> bytes:
    tiff, (start, end) = structure.tiff, area
    whole = tiff[start:end]
    cut = _end_of_jpeg(whole)
    if end > len(tiff) or not cut:
        raise NotMarkableError("Its thumbnail is cut off.")
    drawn = redrawing.jpeg(whole[:cut])
    if drawn == whole[:cut]:
        return tiff
    held = drawn + _refilled(whole[cut:], len(drawn) - cut, len(whole))
    behind, grown = tiff[end:], len(held) - len(whole)
    if grown and not _is_filler(behind):
        raise NotMarkableError("Its thumbnail, drawn anew, does not fit into its place.")
    written = tiff[:start] + held + (_refilled(behind, grown, len(tiff)) if grown else behind)
    return _with_number(structure.order, written, entries[_JPEG_BYTES], len(held))


def _end_of_jpeg(data: bytes) -> int:
    """Where the JPEG that begins with the data ends; 0 where it does not."""
    scans = [part for part in parts_of(data) if part.kind == SCANS]
    end = end_of_scans(data, scans[0].start) if scans else 0
    return end if data[:end].endswith(JPEG_END) else 0


def _is_filler(data: bytes) -> bool:
    return not data or (data[0] in _FILLERS and data.count(data[0]) == len(data))


def _refilled(filler: bytes, grown: int, total: int) -> bytes:
    """What fills up behind something that grew by some bytes, negative where it shrank. total: length until its end.

    An area of fixed size keeps it, an aligned one its alignment; anything but filler stays as it is.
    """
    if not filler or not grown or not _is_filler(filler):
        return filler
    if len(filler) >= _FIXED:
        if grown > len(filler):
            raise NotMarkableError("Its thumbnail, drawn anew, does not fit into its place.")
        return filler[:1] * (len(filler) - grown)
    step = next(step for step in (4, 2, 1) if total % step == 0)
    return filler[:1] * (-(total - len(filler) + grown) % step if step > 1 else len(filler))


def _with_number(order: str, tiff: bytes, entry: _Entry, value: int) -> bytes:
    if entry.kind == _SHORT and value > 0xFFFF:
        raise NotMarkableError("Its thumbnail, drawn anew, does not fit into its place.")
    packed = struct.pack(order + ("H" if entry.kind == _SHORT else "I"), value)
    at = entry.at + 4
    return tiff[:at] + packed + tiff[at + len(packed) :]


def _with_strips(structure: _Structure, entries: dict[int, _Entry], redrawing: Redrawing) -> bytes:
    """An uncompressed thumbnail: RGB pixel by pixel, or grey; drawn over in place."""
    first = {tag: entry.values[0] for tag, entry in entries.items()}
    width, height, channels = first.get(_WIDTH, 0), first.get(_HEIGHT, 0), first.get(_CHANNELS, 1)
    photometric, bits = first.get(_PHOTOMETRIC, -1), entries[_BITS].values if _BITS in entries else (1,)
    known = (channels, photometric) in ((3, 2), (1, 1)) and set(bits) == {8} and first.get(_PLANAR, 1) == 1
    if first.get(_COMPRESSION, 1) != 1 or not known or _STRIP_BYTES not in entries:
        raise NotMarkableError("Its thumbnail is of a form that cannot be drawn anew.")
    strips = _strips(entries)
    written = bytearray(structure.tiff)
    held = b"".join(written[start:end] for start, end in strips)
    if len(held) != width * height * channels or not held:
        raise NotMarkableError("Its thumbnail is cut off.")
    drawn = redrawing.pixels(np.frombuffer(held, np.uint8).reshape(height, width, channels)).tobytes()
    at = 0
    for start, end in strips:
        written[start:end] = drawn[at : at + end - start]
        at += end - start
    return bytes(written)
