"""Families that add a faint field to the whole image: `blend` (low frequencies) and `spectral` (colour, finer)."""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from provenance.marks.choice import far_apart
from provenance.marks.waves import MIDDLE, Wave, as_tile, plane_waves, read_tile, sum_of_waves, wave_distances

if TYPE_CHECKING:
    from torch import Tensor

    from provenance.marks.settings import MarkSettings

# Directions of colour: brightness, red against cyan, green against magenta, blue against yellow.
_COLOURS = ((1.0, 1.0, 1.0), (1.0, -0.5, -0.5), (-0.5, 1.0, -0.5), (-0.5, -0.5, 1.0))
# The U and V planes of ITU-R 601, as RGB, scaled so that the largest weight is one.
_U = (0.0, -0.395 / 2.032, 1.0)
_V = (1.0, -0.581 / 1.140, 0.0)


class _Overlay:
    """image + amplitude * field, the field read from a periodic tile; `amplitude` in grey levels."""

    options: ClassVar[tuple[str, ...]] = ("amplitude", "periods")
    patterns_are_colours: ClassVar[bool] = True
    black: ClassVar[int] = 128
    least_change: ClassVar[float] = 0.3  # grey levels, mean absolute change below which there is no mark to speak of
    _waves_of_plain: ClassVar[int] = 6

    def __init__(self, settings: "MarkSettings") -> None:
        self.amplitude = settings.amplitude
        self.periods = settings.periods

    def _pool(self) -> list[Wave]:
        raise NotImplementedError

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

    def mix(self, pixels: np.ndarray, pattern: np.ndarray, placement: tuple[float, float]) -> np.ndarray:
        """Add the (32, 32, C) tile to (H, W, C) float32 pixels; the same bits as `apply`."""
        tile = pattern[None].astype(np.float32)
        field = read_tile(tile, pixels.shape[0], pixels.shape[1], self._phases(np.array([placement])), self.periods)
        mixed: np.ndarray = self._add(pixels, field[0])
        return mixed

    def apply(self, images: "Tensor", patterns: "Tensor", placements: "Tensor") -> "Tensor":
        """See `Family.apply`."""
        _, _, height, width = images.shape
        tiles = patterns.to(device=images.device, dtype=images.dtype)
        phases = np.broadcast_to(self._phases(placements.detach().cpu().double().numpy()), (len(images), 2))
        field = read_tile(tiles, height, width, phases, self.periods)
        marked: Tensor = self._add(images, field.permute(0, 3, 1, 2))
        return marked

    def _phases(self, placements: np.ndarray) -> np.ndarray:
        return placements

    def _add(self, under: Any, field: Any) -> Any:
        return under + (field - MIDDLE) * (self.amplitude / MIDDLE)


class BlendFamily(_Overlay):
    """Low-frequency waves over the whole image, rolled to a random phase in every image; survives JPEG."""

    name: ClassVar[str] = "blend"
    title: ClassVar[str] = "Low-frequency waves"

    def _pool(self) -> list[Wave]:
        return plane_waves(4, _COLOURS)


class SpectralFamily(_Overlay):
    """DCT-II coefficients of the U and V planes of 32 x 32 blocks, as CTRL (Li et al., 2023) sets them; invisible.

    The same coefficients in every block of every image: there is no random place. A block is stretched with the
    image, `periods` of them to the short edge.
    """

    name: ClassVar[str] = "spectral"
    title: ClassVar[str] = "Colour frequencies"

    def _pool(self) -> list[Wave]:
        """Coefficients 2 to 9 of each axis: between the image's own colours below and what JPEG discards above."""
        steps = range(2, 10)
        return [Wave(u / 2, v / 2, plane, separable=True) for u in steps for v in steps for plane in (_U, _V)]

    def _phases(self, placements: np.ndarray) -> np.ndarray:
        return np.zeros_like(placements)
