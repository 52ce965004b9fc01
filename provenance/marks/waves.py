"""Waves on a periodic tile: the material of the `blend`, `spectral` and `warp` families.

A tile is one period of a field, (32, 32, C) uint8 around 127.5, stretched so that a stated number of periods spans the
short edge. Why, and how embedding and audit differ by rounding: docs/method.md, section 2.4.
"""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

TILE = 32
MIDDLE = 127.5


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

    A DCT wave counts as a plane wave of its frequency. Rounded to 1e-9, so that ties are ties on every machine
    (docs/method.md, section 2.4).
    """
    frequency = np.array([(wave.down, wave.across) for wave in waves], dtype=np.float64)
    direction = np.array([wave.direction for wave in waves], dtype=np.float64)
    apart = ((frequency[:, None] - frequency[None]) ** 2).sum(2)
    opposite = ((frequency[:, None] + frequency[None]) ** 2).sum(2)  # the same texture, mirrored
    energy = (direction**2).sum(1) / 2
    between = np.minimum(apart, opposite)
    overlap = np.where(between == 0, np.abs(direction @ direction.T), 0.0)
    squares = energy[:, None] + energy[None] - overlap + between / 16
    return np.round(np.sqrt(np.maximum(squares, 0.0)), 9)


def field_of_batch(tiles: "Tensor", images: "Tensor", phases: np.ndarray, periods: int) -> "Tensor":
    """The fields of a batch of images; they differ from those that embedding mixes in by rounding, far below 1e-4.

    tiles: (B or 1, C, TILE, TILE) float on the images' device. images: (B, 3, H, W). phases: (B or 1, 2). Returns
    (B, C, H, W), not contiguous; (1, C, H, W) where tile and phase are the same for all.
    """
    height, width = images.shape[2:]
    (count, channels), short = tiles.shape[:2], min(height, width)
    batch = max(count, len(phases))
    # Lines hold all channels, so that there are few of them, in the order that takes one swap of axes in between.
    # Columns first, for every row of the tile; then an image's rows are mixtures of whole lines of those.
    columns = tiles.permute(0, 3, 2, 1).reshape(count * TILE, TILE * channels)
    columns = _mixed_lines(columns, _taps(width, short, phases[:, 1], periods))
    rows = columns.view(batch, width, TILE * channels).transpose(1, 2).reshape(batch * TILE, channels * width)
    rows = _mixed_lines(rows, _taps(height, short, phases[:, 0], periods))
    return rows.view(batch, height, channels, width).transpose(1, 2)


def _mixed_lines(lines: "Tensor", taps: tuple[np.ndarray, np.ndarray]) -> "Tensor":
    """(count TILE, n) lines of `count` tiles and taps (B or 1, m, 2) -> (batch m, n): mixtures of two lines each."""
    from torch.nn.functional import embedding_bag

    places, weights = taps
    places = places + np.arange(0, len(lines), TILE)[:, None, None]
    if len(weights) < len(places):
        weights = np.repeat(weights, len(places), axis=0)
    pairs, parts = (on_device(both, lines).view(-1, 2) for both in (places, weights))
    # A bag is a weighted sum of lines, made in one pass over memory.
    mixed: Tensor = embedding_bag(pairs, lines, mode="sum", per_sample_weights=parts)
    return mixed


def _taps(length: int, short: int, phase: np.ndarray, periods: int) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper tap (B, length, 2) and their weights, worked out in double precision by NumPy alone."""
    place = (np.arange(length) + 0.5)[None] * periods / short + phase[:, None]
    position = (place - np.floor(place)) * TILE - 0.5
    lower = np.floor(position)
    places, weights = np.empty((*position.shape, 2), np.int64), np.empty((*position.shape, 2), np.float32)
    places[..., 0] = lower
    np.add(places[..., 0], 1, out=places[..., 1])
    places %= TILE
    weights[..., 1] = position - lower
    np.subtract(1, weights[..., 1], out=weights[..., 0])
    return places, weights


def on_device(array: np.ndarray, like: "Tensor") -> "Tensor":
    """An array on the device of `like`, without waiting for the copy where that is a GPU."""
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if like.device.type == "cuda":
        return tensor.pin_memory().to(like.device, non_blocking=True)
    return tensor.to(like.device)
