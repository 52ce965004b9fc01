"""JPEG files that Pillow does not write, coded one symbol after the other from random coefficients (T.81, annex F)."""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from provenance.embedding.jpeg.huffman import HuffmanTable, standard_tables
from tests.provenance.embedding.builders import as_bytes

ZIGZAG = (
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
)  # fmt: skip
YCC = (1, 2, 3)
SAMPLINGS = {
    "4:4:4": ((1, 1), (1, 1), (1, 1)),
    "4:2:2": ((2, 1), (1, 1), (1, 1)),
    "4:2:0": ((2, 2), (1, 1), (1, 1)),
    "4:4:0": ((1, 2), (1, 1), (1, 1)),
    "4:1:1": ((4, 1), (1, 1), (1, 1)),
    "4:1:0": ((4, 2), (1, 1), (1, 1)),
    "thirds": ((3, 1), (1, 1), (1, 1)),
    "one plane each": ((2, 2), (2, 1), (1, 2)),
    "luma below": ((1, 1), (2, 2), (1, 1)),
    "all twice": ((2, 1), (2, 1), (2, 1)),
}


def noisy(height: int, width: int, channels: int = 3, seed: int = 0) -> Image.Image:
    """Smooth shapes with noise, (height, width): every coefficient occurs, and colours reach both ends."""
    rng = np.random.default_rng(seed)
    smooth = Image.fromarray(rng.integers(0, 256, (6, 6, channels), dtype=np.uint8).squeeze())
    levels = np.asarray(smooth.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray(np.clip(levels + rng.integers(-20, 21, levels.shape), 0, 255).astype(np.uint8))


def encoded(height: int = 40, width: int = 48, channels: int = 3, seed: int = 0, **options: Any) -> bytes:
    return as_bytes(noisy(height, width, channels, seed), "JPEG", **{"quality": 85, **options})


def segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def table_segment(*tables: HuffmanTable) -> bytes:
    return segment(
        0xC4, b"".join(bytes([table.is_ac << 4 | table.slot]) + table.counts + table.symbols for table in tables)
    )


class _Bits:
    def __init__(self, pad: int) -> None:
        self.pad, self.bits, self.out = pad, "", b""

    def put(self, value: int, length: int) -> None:
        self.bits += format(value, f"0{length}b") if length else ""

    def part(self, marker: bytes = b"") -> None:
        self.bits += str(self.pad) * (-len(self.bits) % 8)
        data = int(self.bits or "0", 2).to_bytes(len(self.bits) // 8, "big")
        self.out += data.replace(b"\xff", b"\xff\0") + marker
        self.bits = ""


def _codes(table: HuffmanTable) -> dict[int, tuple[int, int]]:
    found, code, at = {}, 0, 0
    for length, count in enumerate(table.counts, 1):
        for _ in range(count):
            found[table.symbols[at]] = code, length
            code, at = code + 1, at + 1
        code <<= 1
    return found


@dataclass
class Handmade:
    """A sequential file. `factors`: (across, down) of every plane; `fill`: bytes 0xFF before markers in the scans."""

    height: int
    width: int
    factors: Sequence[tuple[int, int]] = SAMPLINGS["4:2:0"]
    identifiers: Sequence[int] = YCC
    quantiser: Sequence[int] = (0, 1, 1, 1)
    before: bytes = b""
    interval: int = 0
    interleaved: bool = True
    frame: int = 0xC0
    pad: int = 1
    fill: int = 0
    seed: int = 0
    step: int = 5
    tables: Sequence[HuffmanTable] = field(default_factory=standard_tables)
    between: bytes = b""  # before the second scan
    behind: bytes = b""

    def __post_init__(self) -> None:
        self.widest, self.tallest = (max(one[side] for one in self.factors) for side in (0, 1))
        self.units = [-(-self.height // (8 * self.tallest)), -(-self.width // (8 * self.widest))]
        rng = np.random.default_rng(self.seed)
        self.coefs = []
        for across, down in self.factors:
            blocks = rng.normal(0, 1, (self.units[0] * down, self.units[1] * across, 64)) * 60 / (1 + np.arange(64))
            blocks[..., 0] *= 2
            self.coefs.append(np.rint(blocks).astype(int))

    def data(self) -> bytes:
        luma, other = (range(1, 65) if self.step == 0 else [self.step + n // 8 for n in range(64)] for _ in range(2))
        quantisers = segment(0xDB, b"\0" + bytes(luma) + b"\1" + bytes(reversed(list(other))))
        planes = b"".join(
            bytes([name, across << 4 | down, table])
            for name, (across, down), table in zip(self.identifiers, self.factors, self.quantiser, strict=False)
        )
        frame = segment(self.frame, struct.pack(">BHHB", 8, self.height, self.width, len(self.factors)) + planes)
        restart = segment(0xDD, struct.pack(">H", self.interval)) if self.interval else b""
        numbers = list(range(len(self.factors)))
        groups = [numbers] if self.interleaved else [[number] for number in numbers]
        scans = [self._scan(group) for group in groups]
        parts = [b"\xff\xd8", self.before, quantisers, frame, table_segment(*self.tables), restart, scans[0]]
        parts += [self.between + scan for scan in scans[1:]]
        return b"".join([*parts, b"\xff" * self.fill, b"\xff\xd9", self.behind])

    def _scan(self, group: list[int]) -> bytes:
        named = b"".join(bytes([self.identifiers[n], 0x11 if n else 0]) for n in group)
        bits, before = _Bits(self.pad), dict.fromkeys(group, 0)
        units = list(self._units(group))
        for number, unit in enumerate(units):
            if self.interval and number and number % self.interval == 0:
                marker = 0xD0 + (number // self.interval - 1) % 8
                bits.part(b"\xff" * self.fill + bytes([0xFF, marker]))
                before = dict.fromkeys(group, 0)
            for plane, block in unit:
                self._block(bits, block, before[plane], min(plane, 1))
                before[plane] = block[0]
        bits.part()
        return segment(0xDA, bytes([len(group)]) + named + b"\0\x3f\0") + bits.out

    def _units(self, group: list[int]):
        if len(group) == 1:
            across, down = self.factors[group[0]]
            high = math.ceil(math.ceil(self.height * down / self.tallest) / 8)
            wide = math.ceil(math.ceil(self.width * across / self.widest) / 8)
            for row in range(high):
                for column in range(wide):
                    yield [(group[0], self.coefs[group[0]][row, column])]
            return
        for row in range(self.units[0]):
            for column in range(self.units[1]):
                yield [
                    (plane, self.coefs[plane][row * self.factors[plane][1] + y, column * self.factors[plane][0] + x])
                    for plane in group
                    for y in range(self.factors[plane][1])
                    for x in range(self.factors[plane][0])
                ]

    def _block(self, bits: _Bits, block: np.ndarray, before: int, slot: int) -> None:
        dc, ac = (
            _codes(next(table for table in self.tables if (table.is_ac, table.slot) == (kind, slot))) for kind in (0, 1)
        )
        self._number(bits, dc, 0, int(block[0]) - int(before))
        zeros = 0
        last = max((k for k in range(1, 64) if block[ZIGZAG[k]]), default=0)
        for k in range(1, last + 1):
            value = int(block[ZIGZAG[k]])
            if not value:
                zeros += 1
                continue
            for _ in range(zeros // 16):
                bits.put(*ac[0xF0])
            self._number(bits, ac, zeros % 16, value)
            zeros = 0
        if last < 63:
            bits.put(*ac[0])

    @staticmethod
    def _number(bits: _Bits, codes: dict[int, tuple[int, int]], zeros: int, value: int) -> None:
        length = abs(value).bit_length()
        bits.put(*codes[zeros << 4 | length])
        bits.put((value if value > 0 else value - 1) & ((1 << length) - 1), length)
