"""The registry of mark families. A further family is a further module with one class, registered once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from provenance.marks.errors import SettingsError

if TYPE_CHECKING:
    from torch import Tensor


class NamesFamily(Protocol):
    """What the registry reads of mark settings."""

    @property
    def family(self) -> str: ...


class Family(Protocol):
    """How one kind of mark looks and is applied. An instance holds the public settings and no secret."""

    name: ClassVar[str]
    title: ClassVar[str]
    options: ClassVar[tuple[str, ...]]  # names of the settings that this family uses
    patterns_are_colours: ClassVar[bool]  # else they are the same for every colour mode
    marks_grey: ClassVar[bool]  # whether it leaves anything in an image without colours
    smooths: ClassVar[bool]  # whether it makes pixels of several, so that they differ less from their neighbours
    black: ClassVar[int]  # what the black ink of a CMYK image gets of a pattern
    least_change: ClassVar[float]  # mean absolute change in grey levels below which an image counts as unmarkable

    def __init__(self, settings: Any) -> None: ...

    @property
    def least_edge(self) -> int:
        """Pixels of the short edge, of an image or of a model's input, below which some patterns are not there."""
        ...

    def patterns(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """`count` patterns, as unlike each other as possible, first axis `count`, uint8 grey levels."""
        ...

    def balanced_pattern(self, rng: np.random.Generator) -> np.ndarray:
        """One keyed pattern for plain marks; all keys give the same energy and mean."""
        ...

    def apply(self, images: "Tensor", patterns: "Tensor", placements: "Tensor") -> "Tensor":
        """Mark a batch of images of one size, on their device: (B, 3, H, W) float copies.

        images: (B, 3, H, W) uint8 or float, grey levels 0 to 255, contiguous; left unchanged. patterns: (B, ...), one
        per image, or (1, ...) for all. placements: (B, 2) fractions in [0, 1), down and across.
        """
        ...

    def region(self, height: int, width: int, placement: tuple[float, float]) -> tuple[int, int, int, int]:
        """The pixels a mark touches: (top, left, height, width)."""
        ...

    def mix(
        self, pixels: np.ndarray, pattern: np.ndarray, placement: tuple[float, float], out: np.ndarray | None = None
    ) -> np.ndarray:
        """The same mark at embedding, on the (h, w, C) pixels of `region` alone, with the same bits everywhere.

        How far `apply` may differ: docs/method.md, section 2.4. pattern: one, with C channels where
        `patterns_are_colours`. placement: as in `region`. out: for rounded levels, contiguous, in other memory, of the
        pixels' shape and type, uint8 or uint16. Without it, grey levels from 0 to 255 become a new float32 array.
        """
        ...

    def by_rows(self, height: int, width: int, pattern: np.ndarray, placement: tuple[float, float]) -> "Rows":
        """The same for some rows at a time of a region of so many rows and columns, into levels of 8 or 16 bits."""
        ...


@dataclass(frozen=True)
class Rows:
    """A mark that is mixed in some rows at a time.

    Attributes:
        reach: how many rows above and below its own one each pixel is made of. mix: takes (h, w, C) pixels of a region,
        its row that they begin with, and the row that the (n, w, C) array begins with which it fills as `Family.mix`
        does; both contiguous.
    """

    reach: int
    mix: Callable[[np.ndarray, int, int, np.ndarray], None]


_FAMILIES: dict[str, Any] = {}


def register(family: Any) -> None:
    """Make a family known by its name."""
    _FAMILIES[family.name] = family


def families() -> dict[str, Any]:
    """All families by name, in the order of their registration."""
    return dict(_FAMILIES)


def get_family(name: str) -> Any:
    """The class of a family. Raises SettingsError where the name is unknown."""
    try:
        return _FAMILIES[name]
    except KeyError:
        raise SettingsError(f"There is no mark family '{name}'. Choose one of: {', '.join(_FAMILIES)}.") from None


def family_for(settings: NamesFamily) -> Family:
    """The family of these settings, ready to apply."""
    family: Family = get_family(settings.family)(settings)
    return family
