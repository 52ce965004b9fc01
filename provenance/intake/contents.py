"""Which contents a manifest lists, as numbers that two manifests can be compared by without reading them again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from provenance.intake.errors import ManifestError
from provenance.intake.manifest import Manifest, content_of
from provenance.whole_files import write_whole

FILE = "contents.bin"
_DIGITS = 16  # of a SHA-256 in hex: 64 bits tell a hundred million files apart
_AT_ONCE = 1 << 16


def contents(folder: Path) -> NDArray[np.uint64]:
    """The first 64 bits of every different SHA-256 in a manifest, ascending, mapped from a file beside it.

    The file is made in one pass where it is missing. Raises ManifestError where there is no manifest.
    """
    path = folder / FILE
    if not path.exists():
        write_whole(path, partial(_write, folder))
    if path.stat().st_size == 0:
        return np.empty(0, np.uint64)
    return np.memmap(path, np.dtype("<u8"), "r")


def can_be_read(folder: Path) -> bool:
    """Whether there is what `contents` reads, without reading it."""
    try:
        if not (folder / FILE).exists():
            Manifest(folder).close()
    except ManifestError:
        return False
    return True


def shared(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> int:
    """How many contents two manifests have in common; in blocks, so neither has to fit into memory."""
    few, many = sorted((one, other), key=len)
    return sum(_found(few[at : at + _AT_ONCE], many) for at in range(0, len(few), _AT_ONCE)) if len(few) else 0


def _found(block: NDArray[np.uint64], among: NDArray[np.uint64]) -> int:
    places = np.searchsorted(among, block)
    inside = places < len(among)
    return int(np.count_nonzero(among[places[inside]] == block[inside]))


def _write(folder: Path, part: Path) -> None:
    with Manifest(folder) as manifest:
        blocks = [_numbers(lines) for lines in _blocks(manifest.lines())]
    found = np.unique(np.concatenate(blocks)) if blocks else np.empty(0, np.uint64)
    part.write_bytes(found.astype("<u8").tobytes())


def _blocks(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    while block := list(islice(lines, _AT_ONCE)):
        yield block


def _numbers(lines: list[bytes]) -> NDArray[np.uint64]:
    digits = b"".join(content_of(line)[:_DIGITS] for line in lines)
    return np.frombuffer(bytes.fromhex(digits.decode()), ">u8").astype(np.uint64)
