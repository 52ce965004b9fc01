"""The `warp` family: a smooth keyed displacement of the image's pixels (after WaNet, Nguyen and Tran, 2021)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from provenance.marks.choice import far_apart
from provenance.marks.registry import ALL_ROWS
from provenance.marks.sampling import least_edge_of
from provenance.marks.waves import (
    MIDDLE,
    Wave,
    as_tile,
    bands_of_field,
    field_of_batch,
    plane_waves,
    sum_of_waves,
    wave_distances,
)

if TYPE_CHECKING:
    from torch import Tensor

    from provenance.marks.settings import MarkSettings

# Which way pixels move: down, across, and the two diagonals.
_WAYS = ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, -1.0))

_SINGLE_UP_TO = 512  # pixels of the longer edge


class WarpFamily:
    """Every pixel is fetched from up to `bend` of the short edge away; adds no pixels of its own."""

    name: ClassVar[str] = "warp"
    title: ClassVar[str] = "Smooth displacement"
    options: ClassVar[tuple[str, ...]] = ("bend", "periods")
    patterns_are_colours: ClassVar[bool] = False
    marks_grey: ClassVar[bool] = True
    black: ClassVar[int] = 0
    least_change: ClassVar[float] = 0.3

    def __init__(self, settings: "MarkSettings") -> None:
        self.bend = settings.bend
        self.periods = settings.periods

    @property
    def least_edge(self) -> int:
        """See `Family.least_edge`."""
        return least_edge_of(self._pool(), self.periods)

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

    def mix(
        self, pixels: np.ndarray, pattern: np.ndarray, placement: tuple[float, float], rows: slice = ALL_ROWS
    ) -> np.ndarray:
        """Displace (H, W, C) pixels."""
        height, width, channels = pixels.shape
        flat = np.ascontiguousarray(pixels).reshape(-1, channels)
        moved = np.empty((len(range(height)[rows]), width, channels), dtype=np.float32)
        column = np.arange(width, dtype=np.float32)
        for band, row, field in bands_of_field(pattern, height, width, placement, self.periods, rows):
            shift = self._scaled(field, height, width)
            top, bottom, down = _between(shift[..., 0] + row[:, None].astype(np.float32), height)
            left, right, across = _between(shift[..., 1] + column, width)
            places = (line * width + place for line in (top, bottom) for place in (left, right))
            corners = (flat.take(place, axis=0).astype(np.float32, copy=False) for place in places)
            moved[band] = _mixed(corners, down[..., None], across[..., None])
        return moved

    def apply(self, images: "Tensor", patterns: "Tensor", placements: "Tensor") -> "Tensor":
        """See `Family.apply`."""
        import torch
        from torch.nn.functional import grid_sample

        batch, _, height, width = images.shape
        # In single precision a place is known to a part of the edge's length alone; by large edges that shows.
        images = images.to(torch.float64 if max(height, width) > _SINGLE_UP_TO else torch.float32)
        tiles = patterns.permute(0, 3, 1, 2).to(images.device, torch.float32, copy=True)
        # A grid counts from -1, the middle of the first pixel, to 1, the middle of the last one.
        steps = torch.tensor([2 / (height - 1), 2 / (width - 1)], device=images.device).view(1, 2, 1, 1)
        phases = placements.detach().cpu().double().numpy()
        shift = field_of_batch(self._scaled(tiles, height, width) * steps, images, phases, self.periods)
        row, column = (
            torch.linspace(-1, 1, side, dtype=images.dtype, device=images.device) for side in (height, width)
        )
        grid = images.new_empty(batch, height, width, 2)
        torch.add(shift[:, 1], column, out=grid[..., 0])
        torch.add(shift[:, 0], row[:, None], out=grid[..., 1])
        return grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True).float()

    def _scaled(self, field: Any, height: int, width: int) -> Any:
        """A tile's levels as pixels to move by, for arrays and tensors alike; changes its argument."""
        field -= MIDDLE
        field /= MIDDLE
        field *= self.bend * min(height, width)
        return field

    def _pool(self) -> list[Wave]:
        return plane_waves(3, _WAYS)


def _between(place: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two pixels a place lies between, and the weight of the second; places beyond the edge are moved onto it."""
    place = place.clip(0, length - 1)
    low = np.floor(place)
    first = low.astype(np.int64)
    return first, np.minimum(first + 1, length - 1), place - low


def _mixed(corners: Iterator[np.ndarray], down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Bilinear mean of the pixels at top left, top right, bottom left and bottom right, taken one after another."""
    upper, lower = (_lerp(next(corners), next(corners), across) for _ in range(2))
    return _lerp(upper, lower, down)


def _lerp(one: np.ndarray, two: np.ndarray, part: np.ndarray) -> np.ndarray:
    """one * (1 - part) + two * part, in the memory of `one`."""
    one *= 1 - part
    two *= part
    one += two
    return one
