"""The `warp` family: a smooth keyed displacement of the image's pixels (after WaNet, Nguyen and Tran, 2021)."""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from provenance.marks.choice import far_apart
from provenance.marks.waves import (
    MIDDLE,
    Wave,
    as_tile,
    like_array,
    plane_waves,
    read_tile,
    sum_of_waves,
    wave_distances,
)

if TYPE_CHECKING:
    from torch import Tensor

    from provenance.marks.settings import MarkSettings

# Which way pixels move: down, across, and the two diagonals.
_WAYS = ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, -1.0))


class WarpFamily:
    """Every pixel is fetched from up to `bend` of the short edge away; adds no pixels of its own."""

    name: ClassVar[str] = "warp"
    title: ClassVar[str] = "Smooth displacement"
    options: ClassVar[tuple[str, ...]] = ("bend", "periods")
    patterns_are_colours: ClassVar[bool] = False
    black: ClassVar[int] = 0
    least_change: ClassVar[float] = 0.3

    def __init__(self, settings: "MarkSettings") -> None:
        self.bend = settings.bend
        self.periods = settings.periods

    def patterns(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """`count` displacement tiles far apart, (count, 32, 32, 2) uint8, down and across around 127.5."""
        pool = self._pool()
        return np.stack([as_tile(pool[i].field()) for i in far_apart(wave_distances(pool), count, rng)])

    def balanced_pattern(self, rng: np.random.Generator) -> np.ndarray:
        """One keyed displacement tile for plain marks, (32, 32, 2) uint8: four waves with random phases."""
        return sum_of_waves(rng, self._pool(), 4)

    def region(self, height: int, width: int, placement: tuple[float, float]) -> tuple[int, int, int, int]:
        """The whole image."""
        return 0, 0, height, width

    def mix(self, pixels: np.ndarray, pattern: np.ndarray, placement: tuple[float, float]) -> np.ndarray:
        """Displace (H, W, C) float32 pixels; the same bits as `apply`."""
        moved: np.ndarray = self._displaced(pixels[None], pattern[None].astype(np.float32), np.array([placement]))[0]
        return moved

    def apply(self, images: "Tensor", patterns: "Tensor", placements: "Tensor") -> "Tensor":
        """See `Family.apply`."""
        tiles = patterns.to(device=images.device, dtype=images.dtype)
        phases = np.broadcast_to(placements.detach().cpu().double().numpy(), (len(images), 2))
        moved: Tensor = self._displaced(images.permute(0, 2, 3, 1), tiles, phases).permute(0, 3, 1, 2)
        return moved

    def _displaced(self, pixels: Any, tiles: Any, phases: np.ndarray) -> Any:
        """(B, H, W, C) -> the same: bilinear, the border repeated beyond the edge."""
        batch, height, width, _ = pixels.shape
        field = (read_tile(tiles, height, width, phases, self.periods) - MIDDLE) / MIDDLE
        reach = self.bend * min(height, width)
        row, column = (
            like_array(np.arange(height, dtype=np.float32), pixels),
            like_array(np.arange(width, dtype=np.float32), pixels),
        )
        top, bottom, down = _between(row[None, :, None] + field[..., 0] * reach, height)
        left, right, across = _between(column[None, None, :] + field[..., 1] * reach, width)
        which = like_array(np.arange(batch)[:, None, None], pixels)
        upper = pixels[which, top, left] * (1 - across) + pixels[which, top, right] * across
        lower = pixels[which, bottom, left] * (1 - across) + pixels[which, bottom, right] * across
        return upper * (1 - down) + lower * down

    def _pool(self) -> list[Wave]:
        return plane_waves(3, _WAYS)


def _between(place: Any, length: int) -> tuple[Any, Any, Any]:
    """The two pixels a place lies between, and the weight of the second; places beyond the edge are moved onto it."""
    place = place.clip(0, length - 1)
    if isinstance(place, np.ndarray):
        low = np.floor(place).astype(np.int64)
        return low, np.minimum(low + 1, length - 1), (place - low.astype(np.float32))[..., None]
    low = place.floor().long()
    return low, (low + 1).clip(max=length - 1), (place - low.to(place.dtype))[..., None]
