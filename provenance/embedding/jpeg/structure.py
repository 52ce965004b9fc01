"""A JPEG's segments, frame, tables and scans (ITU-T T.81, annex B), read without decoding."""

import re
import struct
from dataclasses import dataclass, field

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.jpeg.huffman import HuffmanTable, standard_tables

SOI, EOI, SOS, DHT, DQT, DRI, DNL, APP0, APP14 = 0xD8, 0xD9, 0xDA, 0xC4, 0xDB, 0xDD, 0xDC, 0xE0, 0xEE
BASELINE, EXTENDED, PROGRESSIVE = 0xC0, 0xC1, 0xC2
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_FRAMES = {*range(0xC0, 0xD0)} - {DHT, 0xC8, 0xCC}
_HIERARCHICAL = {0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, 0xDE, 0xDF}
_ARITHMETIC = {0xC9, 0xCA, 0xCB, 0xCC}
_END_OF_SCAN = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")  # stuffed bytes and restart markers belong to it
_NATURAL = (
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
)  # fmt: skip
_MOST_BLOCKS = 10  # in a unit of an interleaved scan


@dataclass(frozen=True)
class Segment:
    """Bytes `start` to `end` of a file: fill bytes, marker, length; from `body` on the payload."""

    marker: int
    start: int
    body: int
    end: int


@dataclass(frozen=True)
class FrameComponent:
    """One colour plane as the frame header names it: sampling factors across and down, number of its table."""

    identifier: int
    across: int
    down: int
    table: int


@dataclass(frozen=True)
class Frame:
    """Of the picture: marker of its coding, size in pixels, planes."""

    marker: int
    precision: int
    height: int
    width: int
    components: tuple[FrameComponent, ...]

    @property
    def is_progressive(self) -> bool:
        return self.marker == PROGRESSIVE


@dataclass(frozen=True)
class ScanHeader:
    """One scan: its planes by index, their tables by index into `Structure.tables` (-1: none), what is coded, where.

    `start` and `end` bound the entropy-coded bytes, restart markers included. `interval`: units between these, or 0.
    """

    components: tuple[int, ...]
    dc: tuple[int, ...]
    ac: tuple[int, ...]
    first: int
    last: int
    high: int
    low: int
    interval: int
    start: int
    end: int


@dataclass(frozen=True)
class Structure:
    """What a file consists of, up to the end marker of its first picture.

    `tables`: Huffman tables as they were defined one after the other; `steps`: 64 quantiser steps of every plane, in
    natural order, as they stood at its first scan. `end`: where the bytes behind the picture start.
    """

    segments: tuple[Segment, ...]
    frame: Frame
    scans: tuple[ScanHeader, ...]
    tables: tuple[HuffmanTable, ...]
    steps: tuple[tuple[int, ...], ...]
    adobe: int | None
    has_jfif: bool
    end: int


@dataclass
class _Reading:
    data: bytes
    segments: list[Segment] = field(default_factory=list)
    scans: list[ScanHeader] = field(default_factory=list)
    tables: list[HuffmanTable] = field(default_factory=list)
    slots: dict[tuple[int, int], int] = field(default_factory=dict)
    quantisers: dict[int, tuple[int, ...]] = field(default_factory=dict)
    steps: dict[int, tuple[int, ...]] = field(default_factory=dict)
    frame: Frame | None = None
    interval: int = 0
    adobe: int | None = None
    has_jfif: bool = False


def parse(data: bytes) -> Structure:
    """Read a file's structure. Raises NotMarkableError, with the reason, where it is damaged or of another kind."""
    reading = _Reading(data)
    for number, table in enumerate(standard_tables()):  # of files that define none, as films in JPEG do
        reading.slots[(table.is_ac, number // 2)] = number
        reading.tables.append(table)
    try:
        end = _walk(reading)
    except (IndexError, struct.error) as error:
        raise NotMarkableError("The JPEG ends before its image does.") from error
    if reading.frame is None or len(reading.steps) < len(reading.frame.components):
        raise NotMarkableError("The JPEG does not hold all of its image.")
    return Structure(
        segments=tuple(reading.segments),
        frame=reading.frame,
        scans=tuple(reading.scans),
        tables=tuple(reading.tables),
        steps=tuple(reading.steps[number] for number in range(len(reading.frame.components))),
        adobe=reading.adobe,
        has_jfif=reading.has_jfif,
        end=end,
    )


def _walk(reading: _Reading) -> int:
    data, at = reading.data, 2
    if data[:2] != b"\xff\xd8":
        raise NotMarkableError("The file is no JPEG.")
    while True:
        start = at
        if data[at] != 0xFF:
            raise NotMarkableError("The JPEG's segments are damaged.")
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker == EOI:
            return at
        if marker in _ALONE or marker == 0:
            raise NotMarkableError("The JPEG's segments are damaged.")
        length = struct.unpack_from(">H", data, at)[0]
        if length < 2 or at + length > len(data):
            raise NotMarkableError("The JPEG ends before its image does.")
        segment = Segment(marker, start, at + 2, at + length)
        reading.segments.append(segment)
        _read_segment(reading, segment)
        at = reading.scans[-1].end if marker == SOS else segment.end


def _read_segment(reading: _Reading, segment: Segment) -> None:
    marker, payload = segment.marker, reading.data[segment.body : segment.end]
    if marker in _HIERARCHICAL:
        raise NotMarkableError("A hierarchical JPEG cannot be written like itself.")
    if marker in _ARITHMETIC:
        raise NotMarkableError("A JPEG with arithmetic coding cannot be written like itself.")
    if marker == DNL:
        raise NotMarkableError("The JPEG says its height behind its image, and could not be written like itself.")
    if marker in _FRAMES:
        _read_frame(reading, marker, payload)
    elif marker == DHT:
        _read_huffman(reading, len(reading.segments) - 1, payload)
    elif marker == DQT:
        _read_quantisers(reading, payload)
    elif marker == DRI:
        reading.interval = struct.unpack(">H", payload[:2])[0]
    elif marker == APP0 and len(payload) >= 14 and payload.startswith(b"JFIF\0"):
        reading.has_jfif = True
    elif marker == APP14 and len(payload) >= 12 and payload.startswith(b"Adobe"):
        reading.adobe = payload[11]
    elif marker == SOS:
        _read_scan(reading, segment, payload)


def _read_frame(reading: _Reading, marker: int, payload: bytes) -> None:
    if reading.frame is not None:
        raise NotMarkableError("The JPEG holds more than one frame.")
    if marker == 0xC3:
        raise NotMarkableError("A lossless JPEG cannot be written like itself.")
    precision, height, width, count = struct.unpack_from(">BHHB", payload)
    if precision != 8:
        raise NotMarkableError(f"A JPEG of {precision} bits per channel cannot be written like itself.")
    if not height or not width:
        raise NotMarkableError("The JPEG does not say its size where it must.")
    if count not in (1, 3, 4) or len(payload) != 6 + 3 * count:
        raise NotMarkableError(f"A JPEG of {count} colour planes cannot be marked.")
    planes = [payload[6 + 3 * number : 9 + 3 * number] for number in range(count)]
    components = tuple(FrameComponent(name, sampling >> 4, sampling & 15, table) for name, sampling, table in planes)
    widest, tallest = (max(getattr(one, side) for one in components) for side in ("across", "down"))
    for one in components:
        if not (1 <= one.across <= 4 and 1 <= one.down <= 4) or one.table > 3:
            raise NotMarkableError("The JPEG's segments are damaged.")
        if widest % one.across or tallest % one.down:
            raise NotMarkableError("The JPEG's colour planes are sampled in fractions of a pixel.")
    reading.frame = Frame(marker, precision, height, width, components)


def _read_huffman(reading: _Reading, segment: int, payload: bytes) -> None:
    at = 0
    while at < len(payload):
        kind, slot = payload[at] >> 4, payload[at] & 15
        counts = payload[at + 1 : at + 17]
        symbols = payload[at + 17 : at + 17 + sum(counts)]
        if len(counts) < 16 or len(symbols) < sum(counts) or kind > 1 or slot > 3:
            raise NotMarkableError("The JPEG's Huffman tables are damaged.")
        reading.slots[(kind, slot)] = len(reading.tables)
        reading.tables.append(HuffmanTable(kind, slot, counts, symbols, segment))
        at += 17 + len(symbols)


def _read_quantisers(reading: _Reading, payload: bytes) -> None:
    at = 0
    while at < len(payload):
        wide, slot = payload[at] >> 4, payload[at] & 15
        if wide > 1 or slot > 3:
            raise NotMarkableError("The JPEG's quantisation tables are damaged.")
        steps = struct.unpack_from(">64H" if wide else ">64B", payload, at + 1)
        natural = [0] * 64
        for place, step in zip(_NATURAL, steps, strict=True):
            natural[place] = step
        if not all(natural):
            raise NotMarkableError("The JPEG's quantisation tables are damaged.")
        reading.quantisers[slot] = tuple(natural)
        at += 1 + (128 if wide else 64)


def _read_scan(reading: _Reading, segment: Segment, payload: bytes) -> None:
    if reading.frame is None:
        raise NotMarkableError("The JPEG's segments are damaged.")
    count = payload[0]
    if not 1 <= count <= 4 or len(payload) != 4 + 2 * count:
        raise NotMarkableError("The JPEG's segments are damaged.")
    numbers = {one.identifier: number for number, one in enumerate(reading.frame.components)}
    named = [(payload[1 + 2 * index], payload[2 + 2 * index]) for index in range(count)]
    if any(name not in numbers for name, _ in named) or len({name for name, _ in named}) < count:
        raise NotMarkableError("The JPEG's segments are damaged.")
    components = tuple(numbers[name] for name, _ in named)
    first, last, approximation = payload[1 + 2 * count :]
    for number in components:
        if number not in reading.steps:
            slot = reading.frame.components[number].table
            if slot not in reading.quantisers:
                raise NotMarkableError("The JPEG lacks a quantisation table.")
            reading.steps[number] = reading.quantisers[slot]
    ended = _END_OF_SCAN.search(reading.data, segment.end)
    if ended is None:
        raise NotMarkableError("The JPEG ends before its image does.")
    is_progressive = reading.frame.is_progressive
    codes_dc = not is_progressive or (first == 0 and approximation >> 4 == 0)
    codes_ac = not is_progressive or first > 0
    scan = ScanHeader(
        components=components,
        dc=tuple(reading.slots.get((0, tables >> 4), -1) if codes_dc else -1 for _, tables in named),
        ac=tuple(reading.slots.get((1, tables & 15), -1) if codes_ac else -1 for _, tables in named),
        first=first,
        last=last,
        high=approximation >> 4,
        low=approximation & 15,
        interval=reading.interval,
        start=segment.end,
        end=ended.start(),
    )
    _check_scan(reading.frame, scan)
    if is_progressive and any(reading.tables[number].segment < 0 for number in (*scan.dc, *scan.ac) if number >= 0):
        raise NotMarkableError("The JPEG's scans are damaged.")
    reading.scans.append(scan)


def _check_scan(frame: Frame, scan: ScanHeader) -> None:
    planes = [frame.components[number] for number in scan.components]
    blocks = sum(one.across * one.down for one in planes)
    valid = len(planes) == 1 or blocks <= _MOST_BLOCKS
    if frame.is_progressive:
        valid &= scan.first <= scan.last <= 63 and scan.low <= 13 and scan.high in (0, scan.low + 1)
        valid &= (scan.last == 0) if scan.first == 0 else len(planes) == 1
        needed = scan.ac if scan.first else scan.dc if not scan.high else ()
    else:
        valid &= (scan.first, scan.last, scan.high, scan.low) == (0, 63, 0, 0)
        needed = scan.dc + scan.ac
    if not valid or -1 in needed:
        raise NotMarkableError("The JPEG's scans are damaged.")
