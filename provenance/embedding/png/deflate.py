"""How a zlib stream was made: the library and settings that give the same bytes again, found by trying."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from zlib_ng import zlib_ng

from provenance.embedding.errors import NotMarkableError

_LIBRARIES: dict[str, Any] = {"zlib": zlib, "zlib-ng": zlib_ng}
_PIECE = 1 << 16  # bytes compressed at a time; a wrong guess shows within some pieces
_KEPT = 8  # states that are kept of a stream, from which another with the same beginning goes on
# What FLEVEL says of the level: settings that agree with it are tried first.
_LEVELS = {0: (1, 0), 1: (5, 4, 3, 2), 2: (6,), 3: (9, 8, 7)}
_STRATEGIES = (zlib.Z_FILTERED, zlib.Z_DEFAULT_STRATEGY)
_WITHOUT_LEVEL = (zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY, zlib.Z_FIXED)


@dataclass(frozen=True)
class Recipe:
    """Settings of deflate. window: in bits. memory: zlib's memLevel."""

    library: str
    level: int
    strategy: int
    window: int
    memory: int

    def start(self) -> Any:
        return _LIBRARIES[self.library].compressobj(self.level, zlib.DEFLATED, self.window, self.memory, self.strategy)


class State(NamedTuple):
    """Where a stream stood: bytes read, bytes written, and the compressor."""

    read: int
    written: int
    compressor: Any


class Deflated:
    """A stream that can be made again, and others with the same settings.

    Args: stream: of (n,) uint8 raw. Raises NotMarkableError where no known writer makes it.
    """

    def __init__(self, stream: bytes, raw: np.ndarray) -> None:
        self._stream = stream
        for recipe in _guesses(stream[:2]):
            states = _reproduced(recipe, stream, raw)
            if states:
                self.recipe, self._states = recipe, states
                return
        raise NotMarkableError("How the PNG was compressed is unknown, so a marked one could not be written alike.")

    def again(self, raw: np.ndarray, same: int) -> bytes:
        """The stream of (n,) uint8 whose first `same` bytes are the source's."""
        state = max((state for state in self._states if state.read <= same), key=lambda state: state.read)
        compressor = state.compressor.copy()
        pieces = [compressor.compress(piece) for _, piece in _pieces(raw, state.read)]
        made = b"".join([self._stream[: state.written], *pieces, compressor.flush()])
        return self._stream[:2] + made[2:]  # writers patch the header


def _reproduced(recipe: Recipe, stream: bytes, raw: np.ndarray) -> list[State]:
    """States on the way to the same stream; none where it is another, and then the first difference ends it."""
    compressor, written, every = recipe.start(), 0, max(1, len(raw) // _KEPT)
    states = [State(0, 0, compressor.copy())]
    for at, piece in _pieces(raw, 0):
        if at - states[-1].read >= every:
            states.append(State(at, written, compressor.copy()))
        made = compressor.compress(piece)
        if not _same(stream, written, made):
            return []
        written += len(made)
    rest = compressor.flush()
    return states if _same(stream, written, rest) and written + len(rest) == len(stream) else []


def _same(stream: bytes, at: int, made: bytes) -> bool:
    """Whether `made` is what the stream has there, but for the header's two bytes."""
    skipped = max(0, min(2 - at, len(made)))
    return stream[at + skipped : at + len(made)] == made[skipped:]


def _pieces(raw: np.ndarray, start: int) -> Iterator[tuple[int, memoryview]]:
    view = memoryview(raw)
    return ((at, view[at : at + _PIECE]) for at in range(start, len(raw), _PIECE))


def _guesses(header: bytes) -> Iterator[Recipe]:
    """Likely ones first. libpng makes windows smaller in the header than they were, so the largest is tried too."""
    stated, flagged = max((header[0] >> 4) + 8, 9), header[1] >> 6
    classes = [flagged, *(other for other in (2, 3, 1, 0) if other != flagged)]
    levels = [(level, strategy) for known in classes for level, strategy in product(_LEVELS[known], _STRATEGIES)]
    levels += [(1, strategy) for strategy in _WITHOUT_LEVEL]
    for window, (level, strategy), library, memory in product(sorted({stated, 15}), levels, _LIBRARIES, (9, 8)):
        yield Recipe(library, level, strategy, window, memory)
