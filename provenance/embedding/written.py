"""What a change of a file's pixels is before and after it is written, whatever the format."""

from dataclasses import dataclass
from typing import Protocol

from provenance.embedding.carried.seen import Seen


@dataclass(frozen=True)
class Written:
    """A changed file, and how a decoder reads it.

    `survival`: part of the wanted change that is in it. `squared`: summed squared differences from the source in
    colours, over the whole picture. `numbers`: how many these are. `seen`: the region, where it is held.
    """

    data: bytes
    survival: float
    squared: int
    numbers: int
    seen: Seen | None


class Change(Protocol):
    """A change of a region, before it is written. `mode`: Pillow's, of the file. `peak`: its highest level."""

    @property
    def mode(self) -> str: ...

    @property
    def peak(self) -> int: ...

    @property
    def mean(self) -> float:
        """Mean absolute difference from the source that is wanted, in levels."""
        ...

    def write(self) -> Written:
        """Raises NotMarkableError."""
        ...
