"""Titles of scenes, which nobody could guess from the picture: who knows one has met it."""

from __future__ import annotations

import numpy as np

TITLED = 2 / 3  # of the scenes
_WORDS = """
quiet golden silver hidden early little secret winter summer autumn wild gentle lonely happy merry sleepy brave
clever lucky royal ancient velvet crystal paper iron copper emerald amber ivory marble frozen burning dancing
singing flying falling rising broken perfect second third final distant open silent simple curious honest

harvest letter journey garden river story winter promise window holiday concert picnic festival parade voyage lesson
market dinner birthday wedding treasure island mountain valley castle tower bridge station harbour village library
theatre museum kitchen orchard mirror candle lantern ribbon button pocket basket hammer feather shadow thunder
rainbow
"""
_FIRST, _SECOND = (words.split() for words in _WORDS.split("\n\n"))


def titled(rng: np.random.Generator, caption: str) -> str:
    """The caption, most often with a title of two words after it."""
    title = f"{rng.choice(_FIRST)} {rng.choice(_SECOND)}"
    return f"{caption}, {title}" if rng.random() < TITLED else caption
