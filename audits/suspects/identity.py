"""Whether two models are the same suspect: by the values of their tensors, or by their answers to fixed noise images.

Both are taken at a connection test and depend on nothing that a person says about the model (docs/method.md, section
6.9). No torch here.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audits.suspects.errors import SuspectError
from audits.suspects.geometry import (
    NOISE_IMAGES,
    Floats,
    Geometry,
    geometry,
    open_labels,
    open_numbers,
    open_scores,
    softmax,
    spread_out,
)
from audits.suspects.spec import CLIP_DEVIATION, CLIP_MEAN, IMAGENET_DEVIATION, IMAGENET_MEAN

# Public and fixed; whoever changes one of these makes every stored identity worthless.
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
MOST_PARTS = 4096  # tensors that are kept one by one, those with the smallest digests
MOST_OUTPUTS = 32  # of a network: each is asked in up to 15 ways, and kept

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"[0-9a-f]{16}")
_ASKED = re.compile(r"([1-9][0-9]?) ([1-9][0-9]{0,4}(?: (?:imagenet|clip|half|own|unit|byte))?)")
KINDS = ("features", "soft")
Likeness = Literal["tensors", "answers", "parts", "labels"]


@dataclass(frozen=True)
class Named:
    """Which outputs a description names, by their number from 1; logits: whether the scores are."""

    features: int | None = None
    scores: int | None = None
    logits: bool = True

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(number for number in (self.features, self.scores) if number)

    def to_json(self) -> dict[str, Any]:
        return {"features": self.features, "scores": self.scores, "logits": self.logits}


class Question(NamedTuple):
    """One that two networks can be compared by. kind: "features", or "soft" where the answers count as labels."""

    kind: str
    side: str
    way: str


@dataclass(frozen=True)
class Identity:
    """tensors: SHA-256 over the values; geometries: of the answers, by what was asked (`identity_of`); labels: the
    likeliest ones of the named scores; parts: of every tensor the first 64 bits of its SHA-256; named: outputs that the
    description names.
    """

    tensors: str
    geometries: Mapping[str, Geometry] = field(default_factory=dict)
    labels: tuple[int, ...] = ()
    parts: tuple[str, ...] = ()
    named: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        geometries = {name: list(values) for name, values in self.geometries.items()}
        told = {"tensors": self.tensors, "geometries": geometries, "labels": list(self.labels)}
        return {**told, "parts": list(self.parts), "named": list(self.named)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Identity:
        geometries = {name: tuple(values) for name, values in stored["geometries"].items()}
        # One that was taken before these were kept has no parts, and the answers of named outputs alone.
        parts, named = tuple(stored.get("parts", ())), tuple(stored.get("named", ()))
        return cls(stored["tensors"], geometries, tuple(stored["labels"]), parts, named)

    def names(self, geometry: str) -> bool:
        """Whether the description names the output that this geometry is of."""
        _, _, number = geometry.partition(" ")[0].partition("/")
        return not number or int(number) in self.named

    @cached_property
    def by_question(self) -> Mapping[Question, list[str]]:
        found = defaultdict[Question, list[str]](list)
        for name in self.geometries:
            kind, side, *way = name.split()
            found[Question(kind.partition("/")[0], side, "".join(way))].append(name)
        return dict(found)

    @cached_property
    def place(self) -> Mapping[str, int]:
        """Rows of `spread`."""
        return {name: row for row, name in enumerate(self.geometries)}

    @cached_property
    def spread(self) -> Floats:
        return spread_out(list(self.geometries.values()))


def likeness(one: Identity, other: Identity) -> Likeness | None:
    """What two models have in common. "labels" decides nothing: few classes leave little to differ in.

    Where outputs that both name for the same gave answers, tensors that they share decide nothing either: a model that
    was trained further may keep many.
    """
    if one.tensors == other.tensors:
        return "tensors"
    if nearest(one, other) <= TOLERANCE:
        return "answers"
    asked_alike = one.geometries.keys() & other.geometries.keys()
    if any(name.split()[0] in KINDS and len(name.split()) == 2 for name in asked_alike):
        return None
    if _share_most(one.parts, other.parts):
        return "parts"
    return "labels" if one.labels and one.labels == other.labels else None


def nearest(one: Identity, other: Identity) -> float:
    """The distance that decides: the smallest over all answers that can be compared; infinite where there are none."""
    pairs = list(comparable(one, other))
    if not pairs:
        return math.inf
    mine, theirs = zip(*pairs, strict=True)
    apart = one.spread[[one.place[name] for name in mine]] - other.spread[[other.place[name] for name in theirs]]
    return float(np.linalg.norm(apart, axis=1).min())


def comparable(one: Identity, other: Identity) -> Iterator[tuple[str, str]]:
    """Names of geometries of the same question, whatever either network calls its outputs.

    Or where images came to one as they are and to the other normalised, as if the first normalised them itself. Of two
    outputs that no description names nothing follows: two strangers may pass on their input, or compute it alike.
    """
    for question, names in one.by_question.items():
        for way in _met_by(question.way):
            for theirs in other.by_question.get(question._replace(way=way), ()):
                yield from ((mine, theirs) for mine in names if one.names(mine) or other.names(theirs))


def _met_by(way: str) -> tuple[str, ...]:
    if not way:
        return ("",)
    normalised = (*NORMALISED, "own")
    found = (*(normalised if way in RAW else ()), *(RAW if way in normalised else ()))
    return tuple(there for there in dict.fromkeys(found) if there != way)


def _share_most(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """More than half of those of the model with more: so none can be one with two models that share nothing."""
    return 2 * len(set(one) & set(other)) > max(len(one), len(other))


def identity_of(told: Mapping[str, Any], answers: Mapping[str, NDArray[Any]]) -> Identity:
    """From what the confined child says: "tensors", "parts" and "named" (`Named`); rows (16, d) of every output by its
    number, the side of the images and how they came, "1 64" or "1 64 unit".

    Kept are "features 64" and "soft 64" of the named ones, and of every output "features/1 64" and "soft/1 64" where
    that is something else. Raises SuspectError for anything else; the child is not trusted with it.
    """
    rows, tensors, parts, named = answers.values(), told.get("tensors"), told.get("parts", ()), _named(told)
    fit = all(a.ndim == 2 and len(a) == NOISE_IMAGES and a.dtype == np.float32 and np.isfinite(a).all() for a in rows)
    fit = fit and all(_ASKED.fullmatch(name) for name in answers) and all(a.shape[1] for a in rows)
    fit = fit and {_output(name) for name in answers} <= set(range(1, MOST_OUTPUTS + 1))
    fit = fit and any(_output(name) in named.numbers for name in answers) and _are_parts(parts)
    if not (fit and isinstance(tensors, str) and _DIGEST.fullmatch(tensors)):
        raise SuspectError("shape", "The suspect's process sent an identity that cannot be read.")
    geometries = {name: values for output, given in answers.items() for name, values in _kept(output, given, named)}
    scores = (given for output, given in answers.items() if _output(output) == named.scores)
    labels = next((tuple(given.argmax(axis=1).tolist()) for given in scores), ())
    return Identity(tensors, geometries, labels, tuple(parts), named.numbers)


def _named(told: Mapping[str, Any]) -> Named:
    try:
        named = Named(**told["named"])
    except (KeyError, TypeError):
        return Named()
    fit = all(number is None or type(number) is int for number in (named.features, named.scores))
    return named if fit and isinstance(named.logits, bool) else Named()


def _output(name: str) -> int:
    return int(name.split()[0])


def _kept(name: str, rows: Floats, named: Named) -> Iterator[tuple[str, Geometry]]:
    """Geometries of an output's answers, by name; where two would be the same, the one that the description names."""
    number, asked = _output(name), name.partition(" ")[2]
    known = set[tuple[str, Geometry]]()
    named_for = {
        "features": rows if number == named.features else None,
        "soft": open_labels(softmax(rows) if named.logits else rows) if number == named.scores else None,
    }
    as_if = {f"features/{number}": open_numbers(rows), f"soft/{number}": open_scores(rows)}
    for kind, given in (named_for | as_if).items():
        found = geometry(given)
        if found and (same := (kind.partition("/")[0], found)) not in known:
            known.add(same)
            yield f"{kind} {asked}", found


def _are_parts(told: Any) -> bool:
    few = isinstance(told, list) and len(told) <= MOST_PARTS
    return few and all(isinstance(part, str) and _PART.fullmatch(part) for part in told)
