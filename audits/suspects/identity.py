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
from audits.suspects.spec import CLIP_DEVIATION, CLIP_MEAN, IMAGENET_DEVIATION, IMAGENET_MEAN

# Public and fixed; whoever changes one of these makes every stored identity worthless.
NOISE_KEY = 20_011  # of Philox 4x64
NOISE_IMAGES = 16
GRIDS = (2, 4, 8, 16)  # cells a side, image by image; coarse and fine noise looks different to a network
SIDES = (64, 224)  # pixels: those that the network takes, and its own
TOLERANCE = 0.05  # of the distance between two geometries, which is at most the square root of 2
# How images are brought to a network, mean and deviation by name; "own" is what the description says.
PLAIN = (0.5,) * 3, (0.25,) * 3  # without a name
NORMALISED = {
    "imagenet": (IMAGENET_MEAN, IMAGENET_DEVIATION),
    "clip": (CLIP_MEAN, CLIP_DEVIATION),
    "half": ((0.5,) * 3, (0.5,) * 3),
}
# What an exported network may want that normalises images itself: from -1 to 1, from 0 to 1, from 0 to 255.
RAW = {"half": NORMALISED["half"], "unit": ((0.0,) * 3, (1.0,) * 3), "byte": ((0.0,) * 3, (1 / 255,) * 3)}
WAYS_SIDE = SIDES[0]  # at which they are tried, besides the network's own: five times the questions
FIRM = 0.99  # an answer surer than that is little more than a label
LEAST_OPEN = 4  # images that soft labels must leave open to tell models apart
MOST_PARTS = 4096  # tensors that are kept one by one, those with the smallest digests
LEAST_SPREAD = 1e-4  # of the answers' own size; below it they differ by rounding

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"[0-9a-f]{16}")
_ASKED = re.compile(r"(features|soft) [1-9][0-9]{0,4}( (imagenet|clip|half|own|unit|byte))?")
Floats = NDArray[np.floating[Any]]
Geometry = tuple[float, ...]
Likeness = Literal["tensors", "answers", "parts", "labels"]


@dataclass(frozen=True)
class Identity:
    """tensors: SHA-256 over the values; geometries: of the answers, by what was asked; labels: the likeliest ones;
    parts: of every tensor the first 64 bits of its SHA-256."""

    tensors: str
    geometries: Mapping[str, Geometry] = field(default_factory=dict)
    labels: tuple[int, ...] = ()
    parts: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        geometries = {name: list(values) for name, values in self.geometries.items()}
        told = {"tensors": self.tensors, "geometries": geometries, "labels": list(self.labels)}
        return {**told, "parts": list(self.parts)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Identity:
        geometries = {name: tuple(values) for name, values in stored["geometries"].items()}
        # One that was taken before this was kept has no parts.
        return cls(stored["tensors"], geometries, tuple(stored["labels"]), tuple(stored.get("parts", ())))


def likeness(one: Identity, other: Identity) -> Likeness | None:
    """What two models have in common. "labels" decides nothing: few classes leave little to differ in.

    Where both gave answers that can be compared, tensors that they share decide nothing either: a model that was
    trained further may keep many.
    """
    if one.tensors == other.tensors:
        return "tensors"
    if any(distance(a, b) <= TOLERANCE for _, a, b in comparable(one, other)):
        return "answers"
    if any(len(name.split()) == 2 for name in one.geometries.keys() & other.geometries.keys()):
        return None
    if _share_most(one.parts, other.parts):
        return "parts"
    return "labels" if one.labels and one.labels == other.labels else None


def comparable(one: Identity, other: Identity) -> Iterator[tuple[str, Geometry, Geometry]]:
    """Geometries of the same question, by its name; or where images came to one as they are and to the other
    normalised, as if the first normalised them itself."""
    for name, values in one.geometries.items():
        asked, way = name.split()[:2], "".join(name.split()[2:])
        for there in _met_by(way):
            met = other.geometries.get(" ".join([*asked, there]).strip())
            if met is not None:
                yield name, values, met


def _met_by(way: str) -> tuple[str, ...]:
    if not way:
        return ("",)
    normalised = (*NORMALISED, "own")
    found = (*(normalised if way in RAW else ()), *(RAW if way in normalised else ()))
    return tuple(there for there in dict.fromkeys(found) if there != way)


def _share_most(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """More than half of those of the model with more: so none can be one with two models that share nothing."""
    return 2 * len(set(one) & set(other)) > max(len(one), len(other))


def distance(one: Geometry, other: Geometry) -> float:
    """Between two geometries, from 0 to the square root of 2."""
    return float(np.linalg.norm(_square(one) - _square(other)))


def identity_of(told: Mapping[str, Any], answers: Mapping[str, NDArray[Any]]) -> Identity:
    """From what the confined child says: "tensors" and "parts"; rows "features 64" (16, d) and probabilities "soft 64"
    (16, k), by the side of the images, and "features 64 unit" by how they were brought to the network as well; labels
    are those of the first.

    Raises SuspectError for anything else; the child is not trusted with it.
    """
    rows, tensors, parts = answers.values(), told.get("tensors"), told.get("parts", ())
    fit = all(a.ndim == 2 and len(a) == NOISE_IMAGES and a.dtype == np.float32 and np.isfinite(a).all() for a in rows)
    named = len(answers) > 0 and all(_ASKED.fullmatch(name) for name in answers)
    fit = fit and named and _are_parts(parts)
    if not (fit and isinstance(tensors, str) and _DIGEST.fullmatch(tensors)):
        raise SuspectError("shape", "The suspect's process sent an identity that cannot be read.")
    soft = {name: given for name, given in answers.items() if name.startswith("soft")}
    compared = {name: _open(given) if name in soft else given for name, given in answers.items()}
    found = {name: _geometry(given) for name, given in compared.items() if given is not None}
    labels = next((tuple(given.argmax(axis=1).tolist()) for given in soft.values()), ())
    return Identity(tensors, {name: values for name, values in found.items() if values}, labels, tuple(parts))


def _are_parts(told: Any) -> bool:
    few = isinstance(told, list) and len(told) <= MOST_PARTS
    return few and all(isinstance(part, str) and _PART.fullmatch(part) for part in told)


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


def _geometry(rows: Floats) -> Geometry:
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
    """Element-wise square roots, as a test sees them; None where the answers are as good as labels: sure of themselves,
    or the same numbers in other places."""
    numbers = np.sort(soft, axis=1)
    if (numbers[:, -1] < FIRM).sum() < LEAST_OPEN or np.ptp(numbers, axis=0).max() < LEAST_SPREAD:
        return None
    return np.sqrt(soft.clip(0.0))


def _square(triangle: Geometry) -> NDArray[np.float64]:
    made = np.zeros((NOISE_IMAGES, NOISE_IMAGES))
    made[np.triu_indices(NOISE_IMAGES)] = triangle
    return made + np.triu(made, 1).T
