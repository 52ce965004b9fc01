"""How a network's answers to the fixed noise images lie to each other: what is compared of two suspects.

No torch here. What counts as one suspect stands in `identity`, the theory in docs/method.md, section 6.9.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Public and fixed; whoever changes one of these makes every stored identity worthless.
NOISE_KEY = 20_011  # of Philox 4x64
NOISE_IMAGES = 16
GRIDS = (2, 4, 8, 16)  # cells a side, image by image; coarse and fine noise looks different to a network
FIRM = 0.99  # an answer surer than that is little more than a label
LEAST_OPEN = 4  # images that soft labels must leave open to tell models apart
LEAST_SPREAD = 1e-4  # of the answers' own size; below it they differ by rounding

Floats = NDArray[np.floating[Any]]
Geometry = tuple[float, ...]

_TRIANGLE = np.triu_indices(NOISE_IMAGES)
NUMBERS = len(_TRIANGLE[0])  # of a geometry
_TWICE = np.where(_TRIANGLE[0] == _TRIANGLE[1], 1.0, np.sqrt(2.0))  # what is beside the diagonal stands there twice


def noise_images(side: int) -> NDArray[np.uint8]:
    """The fixed images (16, S, S, 3): noise on grids, every cell a colour."""
    return np.stack(list(_noise(side)))


def _noise(side: int) -> Iterator[NDArray[np.uint8]]:
    stream = np.random.Philox(key=NOISE_KEY)
    for number in range(NOISE_IMAGES):
        grid = GRIDS[number % len(GRIDS)]
        words = stream.random_raw(-(-grid * grid * 3 // 8)).astype("<u8")
        cells = words.view(np.uint8)[: grid * grid * 3].reshape(grid, grid, 3)
        at = np.arange(side) * grid // side
        yield cells[at][:, at]


def geometry(rows: Floats | None) -> Geometry:
    """Of answers (16, d): their inner products once centred, scaled to length one; the upper triangle.

    It stays what it is when dimensions change places, turn or are stretched alike. Empty where all answers are the same
    but for rounding, or there are none.
    """
    if rows is None:
        return ()
    values = rows.astype(np.float64)
    centred = values - values.mean(axis=0)
    if not np.linalg.norm(centred) > LEAST_SPREAD * np.linalg.norm(values):
        return ()
    products = centred @ centred.T
    scaled = products / np.linalg.norm(products)
    return tuple(round(float(value), 6) for value in scaled[_TRIANGLE])


def distance(one: Geometry, other: Geometry) -> float:
    """Between two geometries, from 0 to the square root of 2."""
    return float(np.linalg.norm(spread_out([one]) - spread_out([other])))


def spread_out(geometries: list[Geometry]) -> Floats:
    """Rows (n, 136) whose Euclidean distances are those of the geometries."""
    return np.array(geometries, np.float64).reshape(-1, NUMBERS) * _TWICE


def open_labels(soft: Floats) -> Floats | None:
    """Element-wise square roots, as a test sees them; None where the answers are as good as labels: sure of themselves,
    or the same numbers in other places."""
    numbers = np.sort(soft, axis=1)
    if (numbers[:, -1] < FIRM).sum() < LEAST_OPEN or np.ptp(numbers, axis=0).max() < LEAST_SPREAD:
        return None
    return np.sqrt(soft.clip(0.0))


def open_numbers(rows: Floats) -> Floats | None:
    """Answers of an output of which nobody says what it holds; None where they are probabilities, which may be as good
    as labels, or take so few values that they are no more than labels themselves."""
    return None if are_probabilities(rows) or _are_few(rows) else rows


def open_scores(rows: Floats) -> Floats | None:
    """The same as soft labels: of probabilities as they are, of other numbers as if they were logits."""
    if _are_few(rows):
        return None
    return open_labels(rows if are_probabilities(rows) else softmax(rows))


def are_probabilities(rows: Floats) -> bool:
    return bool(rows.min() >= -1e-6 and np.abs(rows.sum(axis=1) - 1).max() <= 1e-3)


def softmax(rows: Floats) -> Floats:
    raised = np.exp(rows - rows.max(axis=1, keepdims=True))
    found: Floats = raised / raised.sum(axis=1, keepdims=True)
    return found


def _are_few(rows: Floats) -> bool:
    """Whether most images share their answer with another one."""
    step = LEAST_SPREAD * max(float(np.abs(rows).max()), 1e-30)
    return len(np.unique(np.round(rows / step), axis=0)) <= NOISE_IMAGES - LEAST_OPEN
