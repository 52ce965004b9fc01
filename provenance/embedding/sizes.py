"""How large marked files may be: as the files of their group are, for whoever lists a folder sees sizes.

What a mark adds moves every file up. So marked files are taken from those that are of fitting size with their mark: as
many on either side of each eighth of their group's sizes as chance would have there.
"""

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from provenance.embedding.claimed import Claimed
from provenance.intake.manifest import Manifest
from provenance.marks import MarkSettings
from provenance.marks.cluster_files import grouped_entries

LEAST = 200  # files of a group and format; parts of fewer are chance
_EDGES = np.array([0.01, *(eighth / 8 for eighth in range(1, 8)), 0.99])  # shares of files below each bound

WORTHWHILE = 8  # places are given out anew while one in so many is taken: a few rounds, not hundreds

UNUSUAL = "Marked files of its size are enough already: more of them, and sizes would tell which files are marked."


class Sized(Protocol):
    """A marked file, or one that would be: its position in the manifest, and its bytes."""

    @property
    def position(self) -> int: ...
    @property
    def size(self) -> int: ...


_File = TypeVar("_File", bound=Sized)


@dataclass(frozen=True)
class Kind:
    """Files of a group in one format. bounds: bytes per pixel between parts; share: of the group's files."""

    bounds: np.ndarray
    share: float


class Room:
    """Places for the marked files of a group. kind_of: its format and bytes per pixel, of a position and a size."""

    def __init__(self, kinds: dict[str, Kind], wanted: int, kind_of: Callable[[int, int], tuple[str, float]]) -> None:
        self._kinds, self._kind_of = kinds, kind_of
        self._left = {name: _places(wanted * kind.share) for name, kind in kinds.items()}

    def has_place(self, position: int, size: int, files: int = 1) -> bool:
        """Whether a picture's marked files, of so many bytes each, may join those that are there."""
        name, sides = self._sides(position, size)
        return name not in self._left or bool((self._left[name][sides] >= files).all())

    def take(self, position: int, size: int) -> None:
        """Count a marked file."""
        name, sides = self._sides(position, size)
        if name in self._left:
            self._left[name] -= sides

    def _sides(self, position: int, size: int) -> tuple[str, np.ndarray]:
        """Format, and of every bound whether the file is below, and whether above; on it is neither."""
        name, density = self._kind_of(position, size)
        if name not in self._kinds:
            return name, np.zeros((2, len(_EDGES)), bool)
        bounds = self._kinds[name].bounds
        return name, np.stack([density < bounds, density > bounds])


def _places(wanted: float) -> np.ndarray:
    """How many marked files may be below and above every bound: one standard deviation more than chance has there."""
    shares = np.stack([_EDGES, 1 - _EDGES])
    return np.maximum(np.floor(wanted * shares + np.sqrt(wanted * shares * (1 - shares))), 1)


class GroupSizes:
    """Bytes per pixel of a version's files, by group and format, where there are enough.

    claimed: files that lose their claims, more bytes than a mark adds; so do their neighbours, and any size will do.
    """

    def __init__(self, manifest: Manifest, settings: MarkSettings, claimed: Claimed) -> None:
        self._manifest, self._claimed = manifest, claimed
        found: dict[int, dict[str, array[float]]] = {}
        grouping = settings.grouping()
        for entry, grouped in zip(manifest, grouped_entries(manifest, settings), strict=True):
            if (group := grouping.group_of(grouped)) >= 0:
                own = found.setdefault(group, {}).setdefault(entry.format, array("d"))
                own.append(entry.size / (entry.width * entry.height))
        self._kinds = {group: kinds_of(by_format) for group, by_format in found.items()}

    def room(self, group: int, wanted: int) -> Room:
        """For so many marked files of a group."""
        return Room(self._kinds.get(group, {}), wanted, self._kind_of)

    def _kind_of(self, position: int, size: int) -> tuple[str, float]:
        entry = self._manifest.entry(position)
        return "" if position in self._claimed else entry.format, size / (entry.width * entry.height)


def kinds_of(by_format: "dict[str, array[float]]") -> dict[str, Kind]:
    """Of a group's files: bytes per pixel, by format. Formats with too few files are not there."""
    count = sum(len(sizes) for sizes in by_format.values())
    return {
        name: Kind(np.quantile(np.frombuffer(sizes), _EDGES), len(sizes) / count)
        for name, sizes in by_format.items()
        if len(sizes) >= LEAST
    }


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
        if len(placed) >= wanted or not room.has_place(files[0].position, files[0].size, len(files)):
            others.append(files)
            continue
        for file in files:
            room.take(file.position, file.size)
        placed += files
    return placed, others
