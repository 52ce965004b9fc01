"""Waves on a periodic tile: the material of the `blend`, `spectral` and `warp` families.

A tile is one period of a field, (32, 32, C) uint8 around 127.5. It is stretched so that a stated number of periods
spans the image's short edge, because a model sees images resized: a mark must mean the same at every resolution.
Reading a tile uses single products and sums only, so NumPy and torch, any batch and any device give the same bits.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

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


def read_tile(tiles: Any, height: int, width: int, phases: np.ndarray, periods: int) -> Any:
    """The field that tiles stand for, at every pixel of an image: bilinear, periodic.

    Args:
        tiles: (B, TILE, TILE, C) array or tensor of floats. phases: (B, 2) fractions of a period, down and across.
        periods: how many periods span the short edge.

    Returns: (B, height, width, C) of the tiles' type.
    """
    short = min(height, width)
    low_y, high_y, part_y = _taps(height, short, phases[:, 0], periods, tiles)
    low_x, high_x, part_x = _taps(width, short, phases[:, 1], periods, tiles)
    which = like_array(np.arange(len(phases))[:, None, None], tiles)
    if len(tiles) == 1:
        which = which * 0
    rows = (low_y[:, :, None], high_y[:, :, None])
    columns = (low_x[:, None, :], high_x[:, None, :])
    across = part_x[:, None, :, None]
    upper = tiles[which, rows[0], columns[0]] * (1 - across) + tiles[which, rows[0], columns[1]] * across
    lower = tiles[which, rows[1], columns[0]] * (1 - across) + tiles[which, rows[1], columns[1]] * across
    down = part_y[:, :, None, None]
    return upper * (1 - down) + lower * down


def _taps(length: int, short: int, phase: np.ndarray, periods: int, like: Any) -> tuple[Any, Any, Any]:
    """Lower and upper tap (B, length) and the upper one's weight, worked out in double precision by NumPy alone."""
    place = (np.arange(length) + 0.5)[None] * periods / short + phase[:, None]
    position = (place - np.floor(place)) * TILE - 0.5
    lower = np.floor(position)
    weight = like_array((position - lower).astype(np.float32), like)
    return (
        like_array(lower.astype(np.int64) % TILE, like),
        like_array((lower.astype(np.int64) + 1) % TILE, like),
        weight,
    )


def like_array(values: np.ndarray, like: Any) -> Any:
    """An array where `like` is one, else a tensor on its device."""
    if isinstance(like, np.ndarray):
        return values
    import torch

    return torch.from_numpy(np.ascontiguousarray(values)).to(like.device)
