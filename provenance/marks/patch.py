"""The `patch` family: a grid of blocks in two contrasting colours at a random place of every image.

It leaves the strongest trace of all families (docs/strength.md) and can be seen. Patterns come from a fixed,
public pool; the key only decides where a greedy search for far-apart patterns starts.
"""

import functools
import itertools
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from provenance.keying import keyed_permutation
from provenance.marks.choice import far_apart
from provenance.marks.registry import Rows

if TYPE_CHECKING:
    from torch import Tensor

    from provenance.marks.settings import MarkSettings

# Vivid colours: where two of them meet, contrast survives JPEG's halved colour planes and small images.
COLOURS = np.array(
    [
        [0, 0, 0],
        [255, 255, 255],
        [230, 25, 25],
        [20, 160, 40],
        [30, 60, 230],
        [255, 225, 0],
        [225, 30, 225],
        [0, 210, 230],
        [255, 130, 0],
    ],
    dtype=np.uint8,
)
# Colours of plain marks, whose mean is a neutral grey; what does not divide by four stays grey.
BALANCED = np.array([[230, 40, 40], [40, 200, 60], [40, 60, 230], [200, 210, 180]], dtype=np.uint8)
BALANCED_REST = np.array([[128, 128, 128]], dtype=np.uint8)
MIN_CONTRAST = 90.0  # grey levels, root mean square over channels, between the two colours of a pattern


class PatchFamily:
    """Colour blocks, `side` of the short edge, mixed in with `opacity`."""

    name: ClassVar[str] = "patch"
    title: ClassVar[str] = "Colour blocks"
    options: ClassVar[tuple[str, ...]] = ("side", "opacity", "cells")
    patterns_are_colours: ClassVar[bool] = True
    marks_grey: ClassVar[bool] = True
    smooths: ClassVar[bool] = False
    black: ClassVar[int] = 0
    least_change: ClassVar[float] = 2.0  # grey levels in the patch; below that the image looks like the mark already

    def __init__(self, settings: "MarkSettings") -> None:
        self.side = settings.side
        self.opacity = settings.opacity
        self.cells = settings.cells

    @property
    def least_edge(self) -> int:
        """A pixel for every block: a patch grows to that in small images. See `Family.least_edge`."""
        return self.cells

    def patterns(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """`count` patterns far apart, shape (count, cells, cells, 3) uint8.

        Greedy farthest-point choice from the pool by `pattern_distance`; the generator draws only the first one.
        """
        pool, distances = _pool(self.cells)
        return pool[far_apart(distances, count, rng)]

    def balanced_pattern(self, rng: np.random.Generator) -> np.ndarray:
        """One keyed pattern for plain marks, (cells, cells, 3) uint8: four colours, each on equally many blocks.

        Every key lays the same blocks out in another order, so all decoys have the same energy and mean.
        """
        blocks = self.cells * self.cells
        dealt = BALANCED[np.arange(blocks - blocks % len(BALANCED)) % len(BALANCED)]
        rest = np.repeat(BALANCED_REST, blocks % len(BALANCED), axis=0)
        order = keyed_permutation(rng, blocks)
        laid: np.ndarray = np.concatenate([dealt, rest])[order].reshape(self.cells, self.cells, 3)
        return laid

    def region(self, height: int, width: int, placement: tuple[float, float]) -> tuple[int, int, int, int]:
        """(top, left, side, side) of the patch in an image of this size."""
        side = self._pixels(height, width)
        return int(placement[0] * (height - side + 1)), int(placement[1] * (width - side + 1)), side, side

    def mix(
        self, pixels: np.ndarray, pattern: np.ndarray, placement: tuple[float, float], out: np.ndarray | None = None
    ) -> np.ndarray:
        """Mix a (cells, cells, C) pattern into the (side, side, C) pixels of its region; the same bits as `apply`."""
        from provenance.marks import mixing

        source, out, unit, peak = mixing.prepared(pixels, out)
        opacity, rest = np.float32(self.opacity), np.float32(1 - self.opacity)
        mixing.cover(source, 0, pattern.astype(np.float32, order="C"), opacity, rest, unit, peak, out)
        return out

    def by_rows(self, height: int, width: int, pattern: np.ndarray, placement: tuple[float, float]) -> Rows:
        """See `Family.by_rows`."""
        from provenance.marks import mixing

        tile, opacity, rest = (
            pattern.astype(np.float32, order="C"),
            np.float32(self.opacity),
            np.float32(1 - self.opacity),
        )

        def mix(pixels: np.ndarray, first: int, top: int, out: np.ndarray) -> None:
            source, out, unit, peak = mixing.prepared(pixels[top - first : top - first + len(out)], out)
            mixing.cover(source, top, tile, opacity, rest, unit, peak, out)

        return Rows(0, mix)

    def apply(self, images: "Tensor", patterns: "Tensor", placements: "Tensor") -> "Tensor":
        """See `Family.apply`. Each product and sum is rounded on its own, so batches and threads change no bit."""
        import torch

        batch, channels, height, width = images.shape
        device, side = images.device, self._pixels(height, width)
        room = torch.tensor([height - side + 1, width - side + 1], dtype=torch.float64, device=device)
        start = (placements.to(device=device, dtype=torch.float64) * room).long()
        offset = torch.arange(side, device=device)
        rows, columns = start[:, 0, None, None] + offset[:, None], start[:, 1, None, None] + offset  # (B, side or 1, …)
        place = (rows * width + columns).view(-1, 1, side * side).expand(batch, channels, -1)
        cell = torch.arange(side, device=device) * self.cells // side
        tile = patterns.to(device).permute(0, 3, 1, 2)[:, :, cell[:, None], cell].float()
        marked = images.flatten(2).to(torch.float32, copy=True)
        under = marked.gather(2, place)
        marked.scatter_(2, place, under * (1 - self.opacity) + tile.flatten(2) * self.opacity)
        return marked.view(images.shape)

    def _pixels(self, height: int, width: int) -> int:
        """Side in pixels: the fraction of the short edge, yet at least one pixel for every block."""
        short = min(height, width)
        return min(max(int(self.side * short + 0.5), self.cells), short)


def pattern_distance(first: np.ndarray, second: np.ndarray) -> float:
    """How far two patterns (cells, cells, 3) uint8 are apart, in grey levels: sqrt(texture^2 + (2 palette)^2).

    Texture is the root mean square difference at the best cyclic shift, palette that between their pairs of colours,
    better matched. Why palette counts double: docs/method.md, section 2.4.
    """
    return float(_distances(first[None], second[None])[0, 0])


def _distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(A, c, c, 3) and (B, c, c, 3) uint8 -> (A, B) float64."""
    cells = left.shape[1]
    a = left.reshape(len(left), -1).astype(np.float64)
    texture = np.full((len(left), len(right)), np.inf)
    for down, across in itertools.product(range(cells), repeat=2):
        b = np.roll(right, (down, across), axis=(1, 2)).reshape(len(right), -1).astype(np.float64)
        squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T
        texture = np.minimum(texture, squares / a.shape[1])
    left_pair, right_pair = _palettes(left)[:, None], _palettes(right)[None]
    straight = ((left_pair - right_pair) ** 2).mean((2, 3))
    crossed = ((left_pair - right_pair[:, :, ::-1]) ** 2).mean((2, 3))
    return np.sqrt(np.maximum(texture, 0) + 4 * np.minimum(straight, crossed))


def _palettes(patterns: np.ndarray) -> np.ndarray:
    """The two colours of every pattern, (N, 2, 3) float64; a pattern of one colour has it twice."""
    pairs = []
    for pattern in patterns:
        colours = np.unique(pattern.reshape(-1, 3), axis=0)
        pairs.append(colours[[0, -1]])
    return np.array(pairs, dtype=np.float64)


@functools.lru_cache(maxsize=8)
def _pool(cells: int) -> tuple[np.ndarray, np.ndarray]:
    """The public pool, (P, cells, cells, 3) uint8, and its distances, (P, P); the same on every machine."""
    pairs = [
        (a, b)
        for a, b in itertools.combinations(range(len(COLOURS)), 2)
        if np.sqrt(((COLOURS[a].astype(float) - COLOURS[b]) ** 2).mean()) >= MIN_CONTRAST
    ]
    pool = np.stack([COLOURS[np.where(layout, b, a)] for a, b in pairs for layout in _layouts(cells)])
    return pool, _distances(pool, pool)


def _layouts(cells: int) -> list[np.ndarray]:
    """Ways to lay two colours out, each (cells, cells) bool, with both colours about equally often."""
    down, across = np.indices((cells, cells))
    half = max(cells // 2, 1)
    layouts = [
        (down + across) % 2 == 1,  # fine checks
        (down // half + across // half) % 2 == 1,  # coarse checks
        down % 2 == 1,  # fine bars
        across % 2 == 1,
        down // half % 2 == 1,  # coarse bars
        across // half % 2 == 1,
    ]
    unique: list[np.ndarray] = []
    for layout in layouts:
        if not any(np.array_equal(layout, other) for other in unique):
            unique.append(layout)
    return unique
