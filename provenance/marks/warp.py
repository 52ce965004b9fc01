"""The `warp` family: a smooth keyed displacement of the image's pixels (after WaNet, Nguyen and Tran, 2021)."""

from typing import TYPE_CHECKING, ClassVar

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
    smooths: ClassVar[bool] = True
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
        self, pixels: np.ndarray, pattern: np.ndarray, placement: tuple[float, float], out: np.ndarray | None = None
    ) -> np.ndarray:
        """Displace (H, W, C) pixels."""
        from provenance.marks import mixing, moving

        source, out, unit, peak = mixing.prepared(pixels, out)
        tile, reach = pattern.astype(np.float32, order="C"), np.float32(self.bend * min(pixels.shape[:2]))
        moving.move(source, tile, *placement, self.periods, reach, unit, peak, out)
        return out

    def by_rows(self, height: int, width: int, pattern: np.ndarray, placement: tuple[float, float]) -> Rows:
        """See `Family.by_rows`."""
        from provenance.marks import mixing, moving

        tile, reach = pattern.astype(np.float32, order="C"), np.float32(self.bend * min(height, width))
        shift = moving.shift_of(tile, height, width, *placement, self.periods)

        def mix(pixels: np.ndarray, first: int, top: int, out: np.ndarray) -> None:
            source, out, unit, peak = mixing.prepared(pixels, out)
            moving.move_rows(source, first, height, shift, top, reach, unit, peak, out)

        return Rows(int(reach) + 2, mix)

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

    def _scaled(self, field: "Tensor", height: int, width: int) -> "Tensor":
        """A tile's levels as pixels to move by; changes its argument."""
        field -= MIDDLE
        field /= MIDDLE
        field *= self.bend * min(height, width)
        return field

    def _pool(self) -> list[Wave]:
        return plane_waves(3, _WAYS)
