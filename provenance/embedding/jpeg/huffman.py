"""Huffman tables of a JPEG (ITU-T T.81, annexes C and K): codes, look-ups for reading and writing, their origin."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from provenance.embedding.errors import NotMarkableError

AHEAD = 12  # bits by which the first look-up finds a symbol
_DC_COUNTS = (
    bytes([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]),
    bytes([0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]),
)
_AC_COUNTS = (
    bytes([0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7D]),
    bytes([0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77]),
)
_AC_SYMBOLS = (
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a34353637"
    "38393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3"
    "a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa",
    "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a353637"
    "38393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2"
    "a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa",
)


@dataclass(frozen=True)
class HuffmanTable:
    """Numbers of codes of 1 to 16 bits, and the symbols in the order of their codes.

    `is_ac`: of which class; `slot`: the number it was defined under; `segment`: which of the file's segments did so,
    -1 for tables that are in no file.
    """

    is_ac: int
    slot: int
    counts: bytes
    symbols: bytes
    segment: int = -1

    @property
    def is_standard(self) -> bool:
        """Whether it is one of annex K.3, or holds all symbols that these hold: made for no file in particular."""
        return any(
            (self.is_ac == other.is_ac and (self.counts, self.symbols) == (other.counts, other.symbols))
            or (self.is_ac and set(self.symbols) >= set(other.symbols))
            for other in standard_tables()
        )

    def has_code_for(self, counted: np.ndarray) -> bool:
        """Whether every symbol that was counted (256 numbers) has a code."""
        return not counted[[symbol not in self.symbols for symbol in range(256)]].any()

    def has_spare_codes(self, counted: np.ndarray) -> bool:
        """Whether it has codes for symbols that were not counted, as only tables made for many files have."""
        return not counted[list(self.symbols)].all()


@lru_cache(maxsize=1)
def standard_tables() -> tuple[HuffmanTable, ...]:
    """Those of annex K.3 in the order of their slots, each time for DC and for AC."""
    return tuple(
        table
        for slot in (0, 1)
        for table in (
            HuffmanTable(0, slot, _DC_COUNTS[slot], bytes(range(12))),
            HuffmanTable(1, slot, _AC_COUNTS[slot], bytes.fromhex(_AC_SYMBOLS[slot])),
        )
    )


@lru_cache(maxsize=64)
def reading_table(counts: bytes, symbols: bytes, is_dc: bool) -> tuple[np.ndarray, np.ndarray]:
    """What the next `AHEAD` bits, and what the next 16 bits mean: uint16, symbol * 32 + bits of code and value.

    0 where no code begins so, or a longer one than `AHEAD`. Raises NotMarkableError for impossible tables.
    """
    lengths = _lengths(counts)
    if not len(lengths) or len(set(symbols)) < len(symbols):
        raise NotMarkableError("The JPEG's Huffman tables are damaged.")
    values = np.frombuffer(symbols, np.uint8).astype(np.int64)
    if is_dc and values.max() > 11:
        raise NotMarkableError("The JPEG's Huffman tables are damaged.")
    spans = 1 << (16 - lengths)
    if spans.sum() > 1 << 16:
        raise NotMarkableError("The JPEG's Huffman tables are damaged.")
    meanings = np.zeros(1 << 16, np.uint16)
    total = int(spans.sum())
    meanings[:total] = np.repeat((values << 5) | (lengths + (values & 15)), spans)
    ahead = meanings[:: 1 << (16 - AHEAD)].copy()
    short = np.zeros(1 << 16, bool)
    short[:total] = np.repeat(lengths <= AHEAD, spans)
    ahead[~short[:: 1 << (16 - AHEAD)]] = 0
    return ahead, meanings


@lru_cache(maxsize=64)
def writing_table(counts: bytes, symbols: bytes) -> np.ndarray:
    """(256,) uint32: code * 32 + its length; 0 for symbols without a code."""
    lengths = _lengths(counts)
    spans = 1 << (16 - lengths)
    starts = np.concatenate([[0], np.cumsum(spans)[:-1]]) if len(spans) else spans
    packed = np.zeros(256, np.uint32)
    packed[np.frombuffer(symbols, np.uint8)] = ((starts >> (16 - lengths)) << 5) | lengths
    return packed


def _lengths(counts: bytes) -> np.ndarray:
    return np.repeat(np.arange(1, 17), np.frombuffer(counts, np.uint8))
