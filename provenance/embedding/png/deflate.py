"""How a zlib stream was made: the library and settings that give the same bytes again, found by trying."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from types import ModuleType

import numpy as np
from zlib_ng import zlib_ng

from provenance.embedding.errors import NotMarkableError

_LIBRARIES: dict[str, ModuleType] = {"zlib": zlib, "zlib-ng": zlib_ng}
_PIECE = 1 << 16  # bytes compressed at a time; a wrong guess shows within some pieces
# What FLEVEL says of the level, by which streams are told apart before anything is compressed.
_LEVELS = {0: (1, 0), 1: (5, 4, 3, 2), 2: (6,), 3: (9, 8, 7)}
_STRATEGIES = (zlib.Z_FILTERED, zlib.Z_DEFAULT_STRATEGY)
_WITHOUT_LEVEL = (zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY, zlib.Z_FIXED)


@dataclass(frozen=True)
class Recipe:
    """Settings of deflate. window: in bits. memory: zlib's memLevel. header: the stream's first two bytes."""

    library: str
    level: int
    strategy: int
    window: int
    memory: int
    header: bytes

    def compress(self, raw: np.ndarray) -> bytes:
        """The zlib stream of (n,) uint8."""
        return b"".join(self._pieces(raw))

    def makes(self, raw: np.ndarray, stream: bytes) -> bool:
        """Whether it gives this stream; ends at the first byte that differs."""
        at = 0
        for piece in self._pieces(raw):
            if stream[at : at + len(piece)] != piece:
                return False
            at += len(piece)
        return at == len(stream)

    def _pieces(self, raw: np.ndarray) -> Iterator[bytes]:
        """Output as it comes; writers patch the header, so it is the source's."""
        deflater = _LIBRARIES[self.library].compressobj(
            self.level, zlib.DEFLATED, self.window, self.memory, self.strategy
        )
        head = 2
        for start in range(0, len(raw), _PIECE):
            piece = deflater.compress(memoryview(raw)[start : start + _PIECE])
            if piece and head:
                yield self.header
            yield piece[head:] if piece else b""
            head = 0 if piece else head
        last = deflater.flush()
        if head:
            yield self.header
        yield last[head:]


def recipe_of(stream: bytes, raw: np.ndarray) -> Recipe:
    """The first recipe that makes `stream` of (n,) uint8. Raises NotMarkableError where none does."""
    for recipe in _guesses(stream[:2]):
        if recipe.makes(raw, stream):
            return recipe
    raise NotMarkableError("How the PNG was compressed is unknown, so a marked one could not be written alike.")


def _guesses(header: bytes) -> Iterator[Recipe]:
    """Likely ones first. libpng makes windows smaller in the header than they were, so larger ones are tried too."""
    stated = max((header[0] >> 4) + 8, 9)
    flagged = header[1] >> 6
    windows = sorted({stated, 15}) if stated <= 15 else [15]
    classes = [flagged, *(other for other in (2, 3, 1, 0) if other != flagged)]
    levels = [(level, strategy) for known in classes for level, strategy in product(_LEVELS[known], _STRATEGIES)]
    levels += [(1, strategy) for strategy in _WITHOUT_LEVEL]
    for window, (level, strategy), library, memory in product(windows, levels, _LIBRARIES, (9, 8)):
        yield Recipe(library, level, strategy, window, memory, header)
