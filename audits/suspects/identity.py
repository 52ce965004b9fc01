"""Whether two models are the same suspect: by the values of their tensors, or by their answers to fixed noise images.

Both are taken at a connection test and depend on nothing that a person says about the model (docs/method.md, section
6.9). No torch here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from audits.suspects.errors import SuspectError

# Public and fixed; whoever changes one of these makes every stored identity worthless.
NOISE_KEY = 20_011  # of Philox 4x64
NOISE_IMAGES = 16
GRIDS = (2, 4, 8, 16)  # cells a side, image by image; coarse and fine noise looks different to a network
SIDES = (64, 224)  # pixels: those that the network takes, and its own
TOLERANCE = 0.05  # of the distance between two geometries, which is at most the square root of 2
FIRM = 0.99  # an answer surer than that is little more than a label
LEAST_OPEN = 4  # images that soft labels must leave open to tell models apart
LEAST_SPREAD = 1e-4  # of the answers' own size; below it they differ by rounding

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ASKED = re.compile(r"(features|soft) [1-9][0-9]{0,4}")
Floats = NDArray[np.floating[Any]]
Likeness = Literal["tensors", "answers", "labels"]


@dataclass(frozen=True)
class Identity:
    """tensors: SHA-256 over the values; geometries: of the answers, by what was asked; labels: the likeliest ones."""

    tensors: str
    geometries: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    labels: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        geometries = {name: list(values) for name, values in self.geometries.items()}
        return {"tensors": self.tensors, "geometries": geometries, "labels": list(self.labels)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Identity:
        geometries = {name: tuple(values) for name, values in stored["geometries"].items()}
        return cls(stored["tensors"], geometries, tuple(stored["labels"]))


def likeness(one: Identity, other: Identity) -> Likeness | None:
    """What two models have in common. "labels" decides nothing: few classes leave little to differ in."""
    if one.tensors == other.tensors:
        return "tensors"
    shared = sorted(one.geometries.keys() & other.geometries.keys())
    if any(distance(one.geometries[name], other.geometries[name]) <= TOLERANCE for name in shared):
        return "answers"
    return "labels" if not shared and one.labels and one.labels == other.labels else None


def distance(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Between two geometries, from 0 to the square root of 2."""
    return float(np.linalg.norm(_square(one) - _square(other)))


def identity_of(told: Mapping[str, Any], answers: Mapping[str, NDArray[Any]]) -> Identity:
    """From what the confined child says: "tensors"; rows "features 64" (16, d) and probabilities "soft 64" (16, k), by
    the side of the images, as many as there are; labels are those of the first.

    Raises SuspectError for anything else; the child is not trusted with it.
    """
    tensors, rows = told.get("tensors"), answers.values()
    fit = all(a.ndim == 2 and len(a) == NOISE_IMAGES and a.dtype == np.float32 and np.isfinite(a).all() for a in rows)
    named = len(answers) > 0 and all(_ASKED.fullmatch(name) for name in answers)
    if not (fit and named and isinstance(tensors, str) and _DIGEST.fullmatch(tensors)):
        raise SuspectError("shape", "The suspect's process sent an identity that cannot be read.")
    soft = {name: given for name, given in answers.items() if name.startswith("soft")}
    compared = {name: _open(given) if name in soft else given for name, given in answers.items()}
    found = {name: _geometry(given) for name, given in compared.items() if given is not None}
    labels = next((tuple(given.argmax(axis=1).tolist()) for given in soft.values()), ())
    return Identity(tensors, {name: values for name, values in found.items() if values}, labels)


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


def _geometry(rows: Floats) -> tuple[float, ...]:
    """How the answers lie to each other: their inner products once centred, scaled to length one; the upper triangle.

    It stays what it is when dimensions change places, turn or are stretched alike. Empty where all answers are the same
    but for rounding.
    """
    values = rows.astype(np.float64)
    centred = values - values.mean(axis=0)
    if not np.linalg.norm(centred) > LEAST_SPREAD * np.linalg.norm(values):
        return ()
    products = centred @ centred.T
    scaled = products / np.linalg.norm(products)
    return tuple(round(float(value), 6) for value in scaled[np.triu_indices(len(scaled))])


def _open(soft: Floats) -> Floats | None:
    """Element-wise square roots, as a test sees them; None where the answers are as good as labels."""
    if (soft.max(axis=1) < FIRM).sum() < LEAST_OPEN:
        return None
    return np.sqrt(soft.clip(0.0))


def _square(triangle: tuple[float, ...]) -> NDArray[np.float64]:
    made = np.zeros((NOISE_IMAGES, NOISE_IMAGES))
    made[np.triu_indices(NOISE_IMAGES)] = triangle
    return made + np.triu(made, 1).T
