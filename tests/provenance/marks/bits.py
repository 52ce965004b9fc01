"""Images and patterns whose bytes never change, for tests of what embedding computes to the last bit."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from provenance.marks import PRESETS, family_for
from provenance.marks.registry import Family

# Height, width, channels: what benchmarks use, odd ones, long ones, and longer than 512 pixels.
SHAPES = [(32, 32, 3), (33, 57, 1), (224, 224, 3), (97, 41, 4), (8, 261, 3), (523, 611, 1), (600, 523, 3)]
PLACES = [(0.0, 0.0), (0.3, 0.7), (0.123456789, 0.987654321)]
GROUPS = ("ant", "bee", "cow", "dog")
STRENGTHS = [*PRESETS, "many periods"]


def noise(shape: tuple[int, ...], seed: str, dtype: str = "u1") -> np.ndarray:
    """Random levels of every size; the same bytes in any version of any library."""
    wanted = np.dtype(dtype).newbyteorder("<")
    data = hashlib.shake_128(f"{shape} {seed}".encode()).digest(int(np.prod(shape)) * wanted.itemsize)
    return np.frombuffer(data, wanted).reshape(shape).astype(dtype)


@dataclass(frozen=True)
class Case:
    """One image's region, and the pattern that goes into it."""

    family: Family
    pixels: np.ndarray
    pattern: np.ndarray
    place: tuple[float, float]


def family_of(name: str, strength: str) -> Family:
    if strength == "many periods":
        changes = {"cells": 7, "side": 0.21, "opacity": 0.37} if name == "patch" else {"periods": 5}
        return family_for(PRESETS["discreet"].settings(GROUPS, family=name, **changes))
    return family_for(PRESETS[strength].settings(GROUPS, family=name))


def cases(name: str, strength: str, dtype: str) -> Iterator[Case]:
    """Every shape at one of the places, for grey of 16 bits only the shapes of one channel."""
    family = family_of(name, strength)
    for number, (height, width, channels) in enumerate(SHAPES):
        if dtype == "u1" or channels == 1:
            yield case(family, (height, width, channels), PLACES[number % len(PLACES)], dtype)


def case(family: Family, shape: tuple[int, int, int], place: tuple[float, float], dtype: str) -> Case:
    height, width, channels = shape
    _, _, tall, wide = family.region(height, width, place)
    cells = getattr(family, "cells", 32)
    pattern = noise((cells, cells, channels if family.patterns_are_colours else 2), "pattern")
    return Case(family, noise((tall, wide, channels), "pixels", dtype), pattern, place)
