"""All scans of a file: read into coefficients, and written from them like the source's."""

import struct
from dataclasses import dataclass, field

import numpy as np

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.jpeg.huffman import HuffmanTable, reading_table, writing_table
from provenance.embedding.jpeg.loops import progressive, sequential
from provenance.embedding.jpeg.loops.fitting import optimal_table
from provenance.embedding.jpeg.loops.stuffing import SPARE, stuff, unstuff
from provenance.embedding.jpeg.planes import Grid, Plane, blocks_of, grid_of, planes_of
from provenance.embedding.jpeg.structure import ScanHeader, Structure

ALL_ROWS = (0, 1 << 30)
_OTHERWISE = "The JPEG's scans are coded in a way that could not be written like itself."
_DAMAGED = "The JPEG's scans are damaged."


@dataclass
class _Scan:
    """A scan as it was read: its bits without stuffing, where units start and parts end."""

    header: ScanHeader
    grid: Grid
    source: np.ndarray
    ends: np.ndarray
    gaps: np.ndarray
    units: np.ndarray
    done: np.ndarray

    @property
    def interval(self) -> int:
        return self.header.interval or self.grid.count


@dataclass
class Picture:
    """A file's coefficients, (blocks, 64) int16 in natural order, and how its scans were coded.

    `fitted`: numbers of the Huffman tables that an encoder fitted to this picture, and would fit again. `rows`: of
    units, between which coefficients were kept; all others are zero here.
    """

    data: bytes
    structure: Structure
    planes: tuple[Plane, ...]
    coefs: np.ndarray
    scans: list[_Scan] = field(default_factory=list)
    fitted: frozenset[int] = frozenset()
    pad: int = 1
    rows: tuple[int, int] = ALL_ROWS


def read_picture(data: bytes, structure: Structure, rows: tuple[int, int] = ALL_ROWS) -> Picture:
    """Read all scans. Raises NotMarkableError where writing the same coefficients would not give the same bytes.

    rows: of units, between which coefficients are kept; others stay zero. It is no more than a wish: where tables are
    fitted to the file, all are kept.
    """
    planes = planes_of(structure.frame)
    used = {number for scan in structure.scans for number in (*scan.dc, *scan.ac)} - {-1}
    if structure.frame.is_progressive or not all(structure.tables[number].is_standard for number in used):
        rows = ALL_ROWS
    picture = Picture(data, structure, planes, _no_coefs(blocks_of(planes), rows), rows=rows)
    counts = np.zeros((len(structure.tables), 256), np.int64)
    pads = np.zeros(2, np.int64)
    for header in structure.scans:
        picture.scans.append(_read_scan(picture, header, rows, counts, pads))
    if not _is_whole(structure):
        raise NotMarkableError("The JPEG does not hold all of its image.")
    picture.pad = int(pads[0] == 0)
    picture.fitted = frozenset(number for number in used if _is_fitted(structure.tables[number], counts[number]))
    if structure.frame.is_progressive and write_picture(picture, picture.coefs, None) != data:
        raise NotMarkableError(_OTHERWISE)
    return picture


def _no_coefs(blocks: int, rows: tuple[int, int]) -> np.ndarray:
    """Zeros, in large pages of memory where nearly all will be used, else in none that is not."""
    if rows != ALL_ROWS:
        return np.zeros((blocks, 64), np.int16)
    coefs = np.empty((blocks, 64), np.int16)
    coefs.fill(0)
    return coefs


def _read_scan(
    picture: Picture, header: ScanHeader, rows: tuple[int, int], counts: np.ndarray, pads: np.ndarray
) -> _Scan:
    grid = grid_of(picture.planes, header)
    parts = -(-grid.count // header.interval) if header.interval else 1
    ends, gaps = np.zeros(parts, np.int64), np.zeros((parts - 1, 2), np.int64)
    source = np.empty(header.end - header.start + SPARE, np.uint8)
    size = unstuff(np.frombuffer(picture.data, np.uint8), header.start, header.end, source, ends, gaps)
    if size < 0:
        raise NotMarkableError(_DAMAGED)
    scan = _Scan(header, grid, source, ends, gaps, np.empty(grid.count, np.int64), np.empty(parts, np.int64))
    tables = [picture.structure.tables[number] for number in grid.tables]
    found = np.zeros((len(tables), 256), np.int64)
    look_ups = [reading_table(table.counts, table.symbols, not table.is_ac) for table in tables]
    whole = np.stack([both[1] for both in look_ups]) if tables else np.zeros((1, 1 << 16), np.uint16)
    where = (source, ends, scan.interval, grid.across, grid.down, grid.plan)
    if not picture.structure.frame.is_progressive:
        ahead = np.stack([both[0] for both in look_ups])
        counting = not all(table.is_standard for table in tables)
        kept = np.array([edge * grid.tall for edge in rows])
        state = sequential.read_sequential(
            *where, ahead, whole, counting, found, picture.coefs, kept, scan.units, scan.done, pads
        )
    elif header.first == 0:
        state = progressive.read_dc(*where, whole, header.high, header.low, found, picture.coefs, pads)
    else:
        band = header.first, header.last, header.high, header.low
        state = progressive.read_ac(*where, whole, *band, found, picture.coefs, pads)
    if state != sequential.FINE:
        raise NotMarkableError(_DAMAGED if state == sequential.DAMAGED else _OTHERWISE)
    counts[list(grid.tables)] += found[: len(tables)]
    return scan


def _is_whole(structure: Structure) -> bool:
    """Whether the scans hold every bit of every coefficient, each once and in order."""
    unknown = 99
    known = np.full((len(structure.frame.components), 64), unknown)
    for scan in structure.scans:
        for number in scan.components:
            band = known[number, scan.first : scan.last + 1]
            if (band != (scan.high or unknown)).any():
                return False
            band[:] = scan.low
    return not known.any()


def _is_fitted(table: HuffmanTable, counted: np.ndarray) -> bool:
    """Whether a table is the one that libjpeg would make for what was counted; False for one of general use.

    Raises NotMarkableError for a table that was fitted to this file in another way.
    """
    if table.is_standard or not counted.any():
        return False
    counts, symbols = optimal_table(counted)
    if (counts.tobytes(), symbols.tobytes()) == (table.counts, table.symbols):
        return True
    if table.has_spare_codes(counted):
        return False
    raise NotMarkableError("The JPEG's Huffman tables were fitted to it in a way that is not known here.")


def write_picture(picture: Picture, coefs: np.ndarray, changed: np.ndarray | None) -> bytes:
    """The file with these coefficients; `changed`: (blocks,) uint8, which blocks differ, None for all.

    Raises NotMarkableError where a table of general use has no code for what is new.
    """
    tables = _tables_for(picture, coefs)
    scans = iter(picture.scans)
    written, at = [picture.data[:2]], 2
    for index, segment in enumerate(picture.structure.segments):
        own = [number for number, table in enumerate(picture.structure.tables) if table.segment == index]
        written.append(picture.data[at : segment.start])
        if picture.fitted.intersection(own):
            written.append(_table_segment(picture.data[segment.start : segment.body - 2], [tables[n] for n in own]))
        else:
            written.append(picture.data[segment.start : segment.end])
        at = segment.end
        if segment.marker == 0xDA:
            scan = next(scans)
            written.append(_write_scan(picture, scan, coefs, changed, tables))
            at = scan.header.end
    written.append(picture.data[at:])
    return b"".join(written)


def _table_segment(head: bytes, tables: list[HuffmanTable]) -> bytes:
    payload = b"".join(bytes([table.is_ac << 4 | table.slot]) + table.counts + table.symbols for table in tables)
    return head + struct.pack(">H", len(payload) + 2) + payload


def _tables_for(picture: Picture, coefs: np.ndarray) -> list[HuffmanTable]:
    """The picture's tables, those that are fitted fitted anew."""
    tables = list(picture.structure.tables)
    counts = np.zeros((len(tables), 256), np.int64)
    for scan in picture.scans:
        if picture.structure.frame.is_progressive:
            found = np.zeros((len(scan.grid.tables), 256), np.int64)
            _write_progressive(scan, coefs, found, None, picture.pad)
            counts[list(scan.grid.tables)] += found
        elif picture.fitted.intersection(scan.grid.tables):
            found = np.zeros((len(scan.grid.tables), 256), np.int64)
            grid = scan.grid
            sequential.count_sequential(coefs, grid.plan, scan.interval, grid.across, grid.down, found)
            counts[list(grid.tables)] += found
    for number, table in enumerate(tables):
        if number in picture.fitted:
            lengths, symbols = optimal_table(counts[number])
            tables[number] = HuffmanTable(table.is_ac, table.slot, lengths.tobytes(), symbols.tobytes(), table.segment)
        elif not table.has_code_for(counts[number]):
            raise _no_code()
    return tables


def _no_code() -> NotMarkableError:
    return NotMarkableError("The JPEG's Huffman tables have no codes for the marked image.")


def _write_scan(
    picture: Picture, scan: _Scan, coefs: np.ndarray, changed: np.ndarray | None, tables: list[HuffmanTable]
) -> bytes:
    grid = scan.grid
    used = [writing_table(tables[number].counts, tables[number].symbols) for number in grid.tables]
    codes = np.stack(used) if used else np.zeros((1, 256), np.uint32)
    if picture.structure.frame.is_progressive:
        out, ends = _write_progressive(scan, coefs, np.zeros((len(codes), 256), np.int64), codes, picture.pad)
    else:
        if changed is None or picture.fitted.intersection(grid.tables):
            anew = np.ones(grid.count, np.uint8)
        else:
            anew = sequential.units_anew(changed, grid.plan, grid.across, grid.down)
        if not anew.any():
            return picture.data[scan.header.start : scan.header.end]
        ends = np.empty_like(scan.ends)
        size, room = -1, len(scan.source) + len(scan.source) // 4
        while size == -1:
            room += sequential.ROOM + room // 2
            out = np.empty(room, np.uint8)
            where = (scan.interval, grid.across, grid.down)
            size = sequential.write_sequential(
                coefs, grid.plan, *where, codes, picture.pad, scan.source, scan.units, scan.done, anew, out, ends
            )
        if size < 0:
            raise _no_code()
    stuffed = np.empty(2 * int(ends[-1]) + int((scan.gaps[:, 1] - scan.gaps[:, 0]).sum()), np.uint8)
    length = stuff(out, ends, np.frombuffer(picture.data, np.uint8), scan.gaps, stuffed)
    return stuffed[:length].tobytes()


def _write_progressive(
    scan: _Scan, coefs: np.ndarray, counts: np.ndarray, codes: np.ndarray | None, pad: int
) -> tuple[np.ndarray, np.ndarray]:
    """Bytes of a scan and where its parts end; without `codes` only `counts` is filled."""
    header, grid = scan.header, scan.grid
    counting = codes is None
    if codes is None:
        codes = np.zeros((max(1, len(counts)), 256), np.uint32)
    ends = np.empty_like(scan.ends)
    size, room = -1, len(scan.source) + len(scan.source) // 4
    while size < 0:
        room += progressive.ROOM + room // 2
        out = np.empty(room, np.uint8)
        where = (coefs, grid.plan, scan.interval, grid.across, grid.down)
        rest = (counts, codes, counting, pad, out, ends)
        if header.first == 0:
            size = progressive.write_dc(*where, header.high, header.low, *rest)
        else:
            write = progressive.write_ac_further if header.high else progressive.write_ac_first
            size = write(*where, header.first, header.last, header.low, *rest)
    return out, ends
