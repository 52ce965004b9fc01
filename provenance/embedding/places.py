"""Places for marked files among the files of their group: as many marked ones in each part of the propensity scores as
chance would have there, so that a score tells nothing.

Parts are eighths of the unmarked files' scores, the uppermost hundredth by itself. What a group's candidates cannot
fill is given to other groups beforehand, and what none can fill to the other parts, in proportion.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np

UNUSUAL = "Marked files like it are enough already: more of them, and their bytes would tell which files are marked."

FREE = -1  # of files that are too few to compare with: any number may be marked
LEAST = 64  # files that a score is compared with; parts of fewer are chance
WORTHWHILE = 8  # places are given out anew while one in so many is taken: a few rounds, not hundreds

_ONE = 1 << 32
_EDGES = np.array([*(eighth * _ONE // 8 for eighth in range(1, 8)), 99 * _ONE // 100], np.int64)
PARTS = len(_EDGES) + 1
_BOUNDS = np.arange(1, PARTS)  # each below the part of its number
_SHARES = np.diff(np.array([0, *_EDGES, _ONE])) / _ONE  # of unmarked files in each part
_SLACK = 0.5  # standard deviations that a side may have more than its own
_ROUNDS = 8  # in which groups take over what others cannot fill
_STEP = 2.0  # by which more may be asked for in a round: of what hardly any group has, no number would be enough
_PRIOR = 8  # candidates that are taken to lie as unmarked files do, besides those tried


class Placed(Protocol):
    """A marked file, or one that would be: what part it belongs to, as `Parts.part_of` says."""

    @property
    def part(self) -> int: ...


_File = TypeVar("_File", bound=Placed)
Kind = tuple[int, str]  # group, or -1 for all of them, and format


class Parts:
    """Which part of their like files belong to.

    scores: of unmarked files, by kind.
    """

    def __init__(self, scores: Mapping[Kind, Sequence[int]]) -> None:
        enough = {key: np.sort(np.array(own, np.int64)) for key, own in scores.items() if len(own) >= LEAST}
        self._scores = enough
        self._formats = sorted({form for _, form in enough})

    def __len__(self) -> int:
        return PARTS * len(self._formats)

    def part_of(self, group: int, form: str, score: int, lot: int) -> int:
        """A number from 0 to len(self) - 1, or FREE. form: the file's format. lot: its own among equals, below 2**32.

        Compared with its own group's files where there are enough, else with those of all groups.
        """
        own = self._scores.get((group, form), self._scores.get((-1, form)))
        if own is None:
            return FREE
        below, upto = (int(np.searchsorted(own, score, side)) for side in ("left", "right"))
        rank = (below * _ONE + lot * (upto - below + 1)) // (len(own) + 1)
        return PARTS * self._formats.index(form) + int(np.searchsorted(_EDGES, rank, "right"))

    def shares(self, by_format: Mapping[str, float]) -> np.ndarray:
        """(len(self),) float64: the part of all files that lies in each, from the part that each format has."""
        return np.concatenate([np.zeros(0), *(by_format.get(form, 0.0) * _SHARES for form in self._formats)])


def rates(tried: Sequence[int], expected: np.ndarray) -> np.ndarray:
    """(n,) of a candidate to fall into each part, where (n,) are expected.

    tried: the part of each candidate of the trial, FREE where it carries no mark.
    """
    counts = np.bincount([part for part in tried if part != FREE], minlength=len(expected))
    return np.asarray((counts + _PRIOR * expected) / (len(tried) + _PRIOR))


def within_reach(shares: np.ndarray, most: np.ndarray) -> np.ndarray:
    """What each part gets of the marks: its share of the files, but never more than its candidates.

    Others then have more than their share. All (n,); most: candidates of each part for every image to be marked.
    """
    there = shares > 0
    if most.sum() <= shares.sum():
        wanted = np.where(there, most, 0.0)
    else:
        low, high = 1.0, float(1 + (most[there] / shares[there]).max(initial=0.0))
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if np.minimum(middle * shares, most).sum() < shares.sum() else (low, middle)
        wanted = np.minimum(high * shares, most)
    return np.asarray(wanted * (shares.sum() / wanted.sum() if wanted.any() else 0.0))


def given_out(shares: np.ndarray, most: np.ndarray, wanted: Sequence[int]) -> np.ndarray:
    """(groups, n) what each part gets of a group's marks: what one group cannot fill, others take for it.

    So that of all marks together each part has its share as nearly as can be. shares, most: (groups, n), as
    `within_reach` has them. wanted: of each group.
    """
    weights = np.array(wanted)[:, None] / max(sum(wanted), 1)
    due, wish = (weights * shares).sum(axis=0), shares
    for _ in range(_ROUNDS):
        got = (weights * _each_within_reach(wish, most)).sum(axis=0)
        wish = wish * np.minimum(np.divide(due, got, out=np.ones_like(due), where=got > 0), _STEP)
        sums = wish.sum(axis=1, keepdims=True)
        wish = wish * np.divide(shares.sum(axis=1, keepdims=True), sums, out=np.zeros_like(sums), where=sums > 0)
    return _each_within_reach(wish, most)


def _each_within_reach(shares: np.ndarray, most: np.ndarray) -> np.ndarray:
    return np.array([within_reach(*own) for own in zip(shares, most, strict=True)]).reshape(shares.shape)


class Room:
    """Places for marked files, which groups get one after the other: what one took too much is missing to the next.

    Of each format, no more files may be below or above each bound between its parts than have places there, and half a
    standard deviation.
    """

    def __init__(self, parts: int) -> None:
        self._places = np.zeros((parts // PARTS, PARTS))
        self._taken = np.zeros((parts // PARTS, PARTS), np.int64)

    def widen(self, places: np.ndarray) -> "Room":
        """Add (parts,) places of a group."""
        self._places = self._places + places.reshape(-1, PARTS)
        return self

    def has_place(self, part: int, files: int = 1) -> bool:
        """Whether a picture's marked files may join those that are there."""
        if part == FREE:
            return True
        form, own = divmod(part, PARTS)
        places, taken = _sides(self._places[form]), _sides(self._taken[form])
        spread = np.sqrt(places[0] * places[1] / max(places[:, 0].sum(), 1.0))
        most = np.maximum(np.floor(places + _SLACK * spread + 0.5), 1)
        joined = np.stack([own < _BOUNDS, own >= _BOUNDS])
        return bool((taken + files <= most)[joined].all())

    @property
    def is_full(self) -> bool:
        """Whether no part has a place left; sides of different bounds may leave none before all places are taken."""
        return not any(self.has_place(part) for part in range(self._places.size))

    def take(self, part: int, files: int = 1) -> None:
        """Count a picture's marked files."""
        if part != FREE:
            self._taken[divmod(part, PARTS)] += files


def _sides(counts: np.ndarray) -> np.ndarray:
    """(2, PARTS - 1): how many of a format's are below each bound, and how many above."""
    below = counts.cumsum()
    return np.stack([below[:-1], below[-1] - below[:-1]])


def in_order_of_places(room_for: Callable[[int], Room], pictures: list[list[_File]], missing: int) -> list[_File]:
    """Files in order, with first those that find a place if only what is missing were wanted.

    What is missing then gets places once more, until hardly any are taken. pictures: files that stay together.
    """
    first: list[_File] = []
    while (wanted := missing - len(first)) > 0:
        placed, pictures = _placed_in(room_for(wanted), pictures, wanted)
        first += placed
        if len(placed) < wanted / WORTHWHILE:
            break
    return first + [file for files in pictures for file in files]


def _placed_in(room: Room, pictures: list[list[_File]], wanted: int) -> tuple[list[_File], list[list[_File]]]:
    """Files of the pictures that find places, at least as many as are wanted if they can, and the other pictures."""
    placed: list[_File] = []
    others: list[list[_File]] = []
    for files in pictures:
        if len(placed) >= wanted or not room.has_place(files[0].part, len(files)):
            others.append(files)
            continue
        room.take(files[0].part, len(files))
        placed += files
    return placed, others
