"""Waves on a periodic tile: the material of the `blend`, `spectral` and `warp` families.

A tile is one period of a field, (32, 32, C) uint8 around 127.5. It is stretched so that a stated number of periods
spans the image's short edge, because a model sees images resized: a mark must mean the same at every resolution.
Embedding reads a tile with single products and sums, which give the same bits on every machine; an audit reads it
faster, and differs by rounding alone.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

TILE = 32
MIDDLE = 127.5
BAND = 2**18  # numbers of a field made at a time: a megabyte, which a core's own cache holds


@dataclass(frozen=True)
class Wave:
    """cos(2 pi (down * y + across * x + phase)) along one direction of the channels.

    `down` and `across` count cycles per tile; `direction` has one weight per channel, the largest of size one.
    """

    down: float
    across: float
    direction: tuple[float, ...]
    separable: bool = False  # a DCT-II basis function, cos * cos, instead of a plane wave

    def field(self, phase: float = 0.0) -> np.ndarray:
        """(TILE, TILE, C) float64 in [-1, 1]."""
        centres = (np.arange(TILE) + 0.5) / TILE
        if self.separable:
            plane = np.cos(2 * np.pi * self.down * centres)[:, None] * np.cos(2 * np.pi * self.across * centres)[None]
        else:
            angle = self.down * centres[:, None] + self.across * centres[None] + phase
            plane = np.cos(2 * np.pi * angle)
        return plane[:, :, None] * np.array(self.direction)


def as_tile(field: np.ndarray) -> np.ndarray:
    """A field in [-1, 1] as a tile, uint8; beyond that it is cut off."""
    tile: np.ndarray = np.clip(np.rint(MIDDLE + MIDDLE * field), 0, 255).astype(np.uint8)
    return tile


def plane_waves(highest: int, directions: tuple[tuple[float, ...], ...]) -> list[Wave]:
    """All plane waves up to `highest` cycles per axis, one of each pair that differs in its sign only."""
    cycles = [
        (down, across)
        for down, across in itertools.product(range(highest + 1), range(-highest, highest + 1))
        if (down, across) > (0, 0)
    ]
    return [Wave(down, across, direction) for down, across in cycles for direction in directions]


def sum_of_waves(rng: np.random.Generator, pool: list[Wave], count: int) -> np.ndarray:
    """A tile of `count` waves of the pool, of different frequencies, with random phases (plane waves) or signs (DCT).

    Each wave has the same energy whatever its direction; one deviation of the sum is a third of the tile's range.
    """
    words = rng.bit_generator.random_raw(len(pool) + count)
    chosen: dict[tuple[float, float], Wave] = {}
    for index in np.argsort(words[: len(pool)], kind="stable"):
        wave = pool[int(index)]
        chosen.setdefault((wave.down, wave.across), wave)
        if len(chosen) == count:
            break
    channels = len(pool[0].direction)
    field = np.zeros((TILE, TILE, channels))
    for wave, word in zip(chosen.values(), words[len(pool) :], strict=True):
        sign = -1.0 if wave.separable and word & 1 else 1.0
        phase = 0.0 if wave.separable else int(word >> 11) / 2**53
        plane = wave.field(phase) * sign
        field += plane / np.sqrt((plane**2).mean())
    return as_tile(field / (3 * np.sqrt(count)))


def wave_distances(waves: list[Wave]) -> np.ndarray:
    """(P, P) distances: sqrt(energy of the difference at the best shift + squared distance of the frequencies / 16).

    Waves of one frequency differ by their directions alone; of different frequencies they are orthogonal at every
    shift. The second term keeps frequencies apart, since a network takes neighbouring ones for each other. Rounded
    to 1e-9, so that ties are ties on every machine.
    """
    frequency = np.array([(wave.down, wave.across) for wave in waves], dtype=np.float64)
    direction = np.array([wave.direction for wave in waves], dtype=np.float64)
    apart = ((frequency[:, None] - frequency[None]) ** 2).sum(2)
    opposite = ((frequency[:, None] + frequency[None]) ** 2).sum(2)  # the same texture, mirrored
    energy = (direction**2).sum(1) / 2
    overlap = np.where(apart == 0, np.abs(direction @ direction.T), 0.0)
    squares = energy[:, None] + energy[None] - overlap + np.minimum(apart, opposite) / 16
    return np.round(np.sqrt(np.maximum(squares, 0.0)), 9)


def bands_of_field(
    tile: np.ndarray, height: int, width: int, place: tuple[float, float], periods: int, rows: slice
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """The field that a tile stands for, at every pixel of one image's rows: bilinear, periodic, some rows at a time.

    Bands stay in the processor's cache, and the memory small with images of 8,000 pixels.

    Args:
        tile: (TILE, TILE, C). place: fractions of a period, down and across. periods: how many span the short edge.
        rows: those of the image that are wanted.

    Yields: a part of these rows, counted from the first of them; their numbers in the image, (h,); and their
    (h, width, C) float32 field, the caller's own.
    """
    short = min(height, width)
    phases = np.array([place], dtype=np.float64)
    low, high, part = (taps[0] for taps in _taps(width, short, phases[:, 1], periods))
    tile = tile.astype(np.float32)
    narrow = tile[:, low] * (1 - part)[:, None] + tile[:, high] * part[:, None]  # (TILE, width, C)
    low, high, part = (taps[0][rows] for taps in _taps(height, short, phases[:, 0], periods))
    numbers = np.arange(height)[rows]
    step = max(1, BAND // narrow[0].size)
    for start in range(0, len(numbers), step):
        band = slice(start, start + step)
        down = part[band, None, None]
        field = narrow[low[band]]
        field *= 1 - down
        below = narrow[high[band]]
        below *= down
        field += below
        yield band, numbers[band], field


def field_of_batch(tiles: "Tensor", images: "Tensor", phases: np.ndarray, periods: int) -> "Tensor":
    """The same fields for a batch of images; they differ from `bands_of_field` by rounding, far below 1e-4.

    Columns come first, for every row of the tile; then an image's rows are mixtures of whole lines of those.

    Args:
        tiles: (B or 1, C, TILE, TILE) float on the images' device. images: (B, 3, H, W). phases: (B or 1, 2).

    Returns: (B, C, H, W), the caller's own; (1, C, H, W) where tile and phase are the same for all images.
    """
    height, width = images.shape[2:]
    short, batch = min(height, width), max(len(tiles), len(phases))
    columns = _mixed_lines(tiles.transpose(2, 3), _taps(width, short, phases[:, 1], periods), batch)
    return _mixed_lines(columns.transpose(2, 3), _taps(height, short, phases[:, 0], periods), batch)


def _mixed_lines(values: "Tensor", taps: tuple[np.ndarray, np.ndarray, np.ndarray], batch: int) -> "Tensor":
    """(B or 1, C, TILE, n) and taps (B or 1, m) -> (batch, C, m, n): mixtures of two lines of n numbers each."""
    import torch
    from torch.nn.functional import embedding_bag

    low, high, part = taps
    count, channels, size, length = values.shape
    first = torch.arange(0, count * channels * size, size, device=values.device).view(count, channels, 1, 1)
    pairs = first + on_device(np.stack([low, high], axis=2), values)[:, None]
    parts = on_device(np.stack([1 - part, part], axis=2), values)[:, None]
    shape = (batch, channels, part.shape[1])
    # A bag is a weighted sum of lines, made in one pass over memory.
    mixed: Tensor = embedding_bag(
        pairs.expand(*shape, 2).reshape(-1, 2),
        values.reshape(-1, length),
        mode="sum",
        per_sample_weights=parts.expand(*shape, 2).reshape(-1, 2),
    )
    return mixed.view(*shape, length)


def _taps(length: int, short: int, phase: np.ndarray, periods: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower and upper tap (B, length) and the upper one's weight, worked out in double precision by NumPy alone."""
    place = (np.arange(length) + 0.5)[None] * periods / short + phase[:, None]
    position = (place - np.floor(place)) * TILE - 0.5
    lower = np.floor(position)
    weight = (position - lower).astype(np.float32)
    return lower.astype(np.int64) % TILE, (lower.astype(np.int64) + 1) % TILE, weight


def on_device(array: np.ndarray, like: "Tensor") -> "Tensor":
    """An array on the device of `like`, without waiting for the copy where that is a GPU."""
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if like.device.type == "cuda":
        return tensor.pin_memory().to(like.device, non_blocking=True)
    return tensor.to(like.device)
