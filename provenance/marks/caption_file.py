"""The captions of a version in one file of folded text, in which words are counted at the speed of a byte search.

One line per image, in the manifest's order, in UTF-8; folding leaves no line break inside a caption.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from provenance.marks.captions import folded, is_letter
from provenance.marks.groups import Grouping
from provenance.whole_files import write_whole

PIECE = 32 << 20  # bytes that are looked at together

# What the byte beside a name says about its edge: a letter refuses it, a gap allows it, and bytes above 127 are parts
# of characters that `captions.Names` must be asked about.
_GAP, _LETTER, _UNSURE = 0, 1, 2


@cache
def _beside() -> NDArray[np.uint8]:
    """For each of the 256 bytes."""
    kinds = [_UNSURE if code > 127 else _LETTER if is_letter(chr(code)) else _GAP for code in range(256)]
    return np.array(kinds, dtype=np.uint8)


def write_captions(path: Path, captions: Iterable[str | None]) -> None:
    """Put the folded captions of all images in place, whole or not at all; an image without one has an empty line."""
    lines = (_encoded(f"{folded(caption or '')}\n") for caption in captions)

    def fill(part: Path) -> None:
        with part.open("wb") as file:
            file.writelines(lines)

    write_whole(path, fill)


def groups_of_captions(path: Path, words: Sequence[str]) -> NDArray[np.int16]:
    """What `Grouping("word", words).group_of` says of every image: (n,), a group's number, NONE or AMBIGUOUS.

    Of a file that was cut short, n is the number of its whole lines.
    """
    grouping = Grouping("word", words)
    parts = [_groups_in(piece, grouping) for piece in _pieces(path, PIECE)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int16)


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    """The file in whole lines; what follows the last line end is left out."""
    with path.open("rb") as file:
        while piece := file.read(size):
            lines = piece + file.readline()
            yield lines[: lines.rfind(b"\n") + 1]


def _groups_in(text: bytes, grouping: Grouping) -> NDArray[np.int16]:
    """The same for some whole lines. Where a search of bytes cannot be sure, the grouping itself is asked."""
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n"))
    groups = np.full(len(ends), Grouping.NONE, dtype=np.int16)
    ask = np.zeros(len(ends), dtype=bool)
    overlapping = _may_overlap(grouping.words)
    for word, number in grouping.words.items():
        places, sure = _found(text, word)
        lines = np.searchsorted(ends, places)
        ask[lines[~sure]] = True
        lines = lines[sure]
        others = (groups[lines] != Grouping.NONE) & (groups[lines] != number)
        ask[lines[others]] |= overlapping
        groups[lines] = np.where(others, Grouping.AMBIGUOUS, number)
    for line in np.flatnonzero(ask).tolist():
        start = int(ends[line - 1]) + 1 if line else 0
        groups[line] = grouping.group_of_text(text[start : int(ends[line])].decode("utf-8", "surrogatepass"))
    return groups


def _found(text: bytes, word: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where a word stands between edges, and whether that is sure; places that surely have no edges are left out."""
    wanted = _encoded(word)
    places = np.fromiter(_occurrences(text, wanted), dtype=np.int64)
    codes = np.frombuffer(text, dtype=np.uint8)
    before = np.where(places > 0, codes[places - 1], ord("\n"))
    after = codes[places + len(wanted)]  # a line end at least
    edges = [_beside()[side] for side, at in ((before, word[0]), (after, word[-1])) if is_letter(at)]
    kept, sure = np.ones(len(places), dtype=bool), np.ones(len(places), dtype=bool)
    for edge in edges:
        kept &= edge != _LETTER
        sure &= edge == _GAP
    return places[kept], sure[kept]


def _occurrences(text: bytes, wanted: bytes) -> Iterator[int]:
    at = text.find(wanted)
    while at >= 0:
        yield at
        at = text.find(wanted, at + 1)


def _may_overlap(words: Iterable[str]) -> bool:
    """Whether two of them can stand in a text so that one hides the other: then they share a word or a character."""
    pieces = [set(re.findall(r"[a-z0-9_]+|[^a-z0-9_\s]", word)) for word in words]
    return any(one & other for one, other in combinations(pieces, 2))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
