"""Families that add a faint field to the whole image: `blend` (low frequencies) and `spectral` (colour, finer)."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from provenance.marks.choice import far_apart
from provenance.marks.registry import Rows
from provenance.marks.sampling import least_edge_of
from provenance.marks.waves import (
    MIDDLE,
    Wave,
    as_tile,
    field_of_batch,
    plane_waves,
    sum_of_waves,
    wave_distances,
)

if TYPE_CHECKING:
    from torch import Tensor

# Directions of colour: brightness, red against cyan, green against magenta, blue against yellow.
_COLOURS = ((1.0, 1.0, 1.0), (1.0, -0.5, -0.5), (-0.5, 1.0, -0.5), (-0.5, -0.5, 1.0))
# The U and V planes of ITU-R 601, as RGB, scaled so that the largest weight is one.
_U = (0.0, -0.395 / 2.032, 1.0)
_V = (1.0, -0.581 / 1.140, 0.0)


class HasWaves(Protocol):
    """Settings of a field: its range in grey levels, and how many of its periods span the short edge."""

    @property
    def amplitude(self) -> float: ...

    @property
    def periods(self) -> int: ...


class HasFinest(HasWaves, Protocol):
    """And the highest DCT coefficient of its patterns."""

    @property
    def finest(self) -> int: ...


class _Overlay(ABC):
    """image + amplitude * field, the field read from a periodic tile; `amplitude` in grey levels."""

    options: ClassVar[tuple[str, ...]] = ("amplitude", "periods")
    patterns_are_colours: ClassVar[bool] = True
    marks_grey: ClassVar[bool] = True
    smooths: ClassVar[bool] = False
    black: ClassVar[int] = 128
    least_change: ClassVar[float] = 0.3  # grey levels, mean absolute change below which there is no mark to speak of
    _waves_of_plain: ClassVar[int] = 6

    def __init__(self, settings: "HasWaves") -> None:
        self.amplitude = settings.amplitude
        self.periods = settings.periods

    @abstractmethod
    def _pool(self) -> list[Wave]:
        """The waves of which patterns are made, independent of the key."""

    @property
    def least_edge(self) -> int:
        """See `Family.least_edge`."""
        return least_edge_of(self._pool(), self.periods)

    def patterns(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """`count` tiles far apart, (count, 32, 32, 3) uint8: one wave each, chosen greedily by `wave_distances`."""
        pool = self._pool()
        return np.stack([as_tile(pool[i].field()) for i in far_apart(wave_distances(pool), count, rng)])

    def balanced_pattern(self, rng: np.random.Generator) -> np.ndarray:
        """One keyed tile for plain marks, (32, 32, 3) uint8: six waves of the pool with random phases or signs.

        Every key gives the same number of waves of the same strength, so all decoys have the same mean and, up to
        what is cut off at three deviations, the same energy.
        """
        return sum_of_waves(rng, self._pool(), self._waves_of_plain)

    def region(self, height: int, width: int, placement: tuple[float, float]) -> tuple[int, int, int, int]:
        """The whole image."""
        return 0, 0, height, width

    def mix(
        self, pixels: np.ndarray, pattern: np.ndarray, placement: tuple[float, float], out: np.ndarray | None = None
    ) -> np.ndarray:
        """Add the field of a (32, 32, C) tile to (H, W, C) pixels."""
        from provenance.marks import mixing

        source, out, unit, peak = mixing.prepared(pixels, out)
        tile, factor = pattern.astype(np.float32, order="C"), np.float32(self.amplitude / MIDDLE)
        down, across = self._phases(np.array([placement]))[0]
        mixing.add_field(source, tile, down, across, self.periods, factor, unit, peak, out)
        return out

    def by_rows(self, height: int, width: int, pattern: np.ndarray, placement: tuple[float, float]) -> Rows:
        """See `Family.by_rows`."""
        from provenance.marks import mixing

        tile, factor = pattern.astype(np.float32, order="C"), np.float32(self.amplitude / MIDDLE)
        down, across = self._phases(np.array([placement]))[0]
        field = mixing.field_of(tile, height, width, down, across, self.periods)

        def mix(pixels: np.ndarray, first: int, top: int, out: np.ndarray) -> None:
            source, out, unit, peak = mixing.prepared(pixels[top - first : top - first + len(out)], out)
            mixing.add_rows(source, field, top, factor, unit, peak, out)

        return Rows(0, mix)

    def apply(self, images: "Tensor", patterns: "Tensor", placements: "Tensor") -> "Tensor":
        """See `Family.apply`."""
        import torch

        tiles = patterns.permute(0, 3, 1, 2).to(images.device, torch.float32, copy=True)
        phases = self._phases(placements.detach().cpu().double().numpy())
        field = field_of_batch(self._scaled(tiles), images, phases, self.periods)
        return field.add_(images) if field.shape == images.shape else images + field

    def _phases(self, placements: np.ndarray) -> np.ndarray:
        """(B, 2) -> (B, 2), or (1, 2) where all images share one."""
        return placements

    def _scaled(self, field: "Tensor") -> "Tensor":
        """A tile's levels as grey levels to add; changes its argument."""
        field -= MIDDLE
        field *= self.amplitude / MIDDLE
        return field


class BlendFamily(_Overlay):
    """Low-frequency waves over the whole image, rolled to a random phase in every image; survives JPEG."""

    name: ClassVar[str] = "blend"
    title: ClassVar[str] = "Low-frequency waves"

    def _pool(self) -> list[Wave]:
        return plane_waves(4, _COLOURS)


class SpectralFamily(_Overlay):
    """DCT-II coefficients of the U and V planes of 32 x 32 blocks, as CTRL (Li et al., 2023) sets them; invisible.

    The same coefficients in every block of every image: there is no random place. A block is stretched with the image,
    `periods` of them to the short edge (docs/decisions/0008-marks-stretch.md).
    """

    name: ClassVar[str] = "spectral"
    title: ClassVar[str] = "Colour frequencies"
    options: ClassVar[tuple[str, ...]] = ("amplitude", "periods", "finest")
    marks_grey: ClassVar[bool] = False

    def __init__(self, settings: "HasFinest") -> None:
        super().__init__(settings)
        self.finest = settings.finest

    def _pool(self) -> list[Wave]:
        """Coefficients from 2 of each axis: between the image's own colours below and what JPEG discards above."""
        steps = range(2, self.finest + 1)
        return [Wave(u / 2, v / 2, plane, separable=True) for u in steps for v in steps for plane in (_U, _V)]

    def _phases(self, placements: np.ndarray) -> np.ndarray:
        return np.zeros((1, 2))


class FaintFamily(_Overlay):
    """Slow waves of brightness: what tells the two versions of a picture apart. No mark, and in no registry.

    Brightness alone, for learners draw grey and turned colours, and JPEG halves colour planes.
    """

    name: ClassVar[str] = "faint"
    title: ClassVar[str] = "Slow waves of brightness"

    def _pool(self) -> list[Wave]:
        return plane_waves(2, _COLOURS[:1])
