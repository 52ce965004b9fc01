"""The views in which a model is asked about an image: crops and colours as contrastive learners draw them.

Drawn once per plan, the same for all images and models (docs/method.md, section 12). After SimCLR (Chen et al. 2020):
crop resized back, flip, colour jitter, grey, blur. Contrast is about the mean of the whole image, hue turns in YIQ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audits.asking.questions import MeasuringError
from audits.planning.views import FEWEST_VIEWS, LEAST_CROP, MOST_VIEWS
from audits.suspects.views import COLOUR_UNIT, PLACE_UNIT, AppliedViews

Floats = NDArray[np.float64]

ASPECT = 4 / 3  # of a crop, and its inverse
FLIPPED, JITTERED, GREY, BLURRED = 0.5, 0.8, 0.2, 0.5  # chances
BRIGHTNESS, CONTRAST, SATURATION = 0.4, 0.4, 0.4  # a factor of one, more or less by up to this
HUE = 0.1  # of a full turn
BLUR, BLUR_SIDE = (0.1, 2.0), 224  # deviation in pixels of an image of this side
DRAWN = 13  # numbers for each view
LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
YIQ = np.array([LUMINANCE, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])


@dataclass(frozen=True)
class ViewSettings:
    """How many views of every image, and the smallest share of its area that a crop leaves (up to all of it)."""

    count: int = 10
    smallest_crop: float = 0.6

    def __post_init__(self) -> None:
        if not FEWEST_VIEWS <= self.count <= MOST_VIEWS:
            raise MeasuringError(f"Ask about {FEWEST_VIEWS} to {MOST_VIEWS} views of every image.")
        if not LEAST_CROP <= self.smallest_crop <= 1:
            raise MeasuringError(f"A crop leaves a share of {LEAST_CROP} to 1 of the image's area.")


@dataclass(frozen=True)
class View:
    """One view, for images of any size.

    top, left, height, width: the crop, in shares of the side. sigma: of the blur, in sides. colours (3, 3): applied to
    the crop's red, green and blue; offset: how much of the image's mean grey level is added.
    """

    top: float
    left: float
    height: float
    width: float
    flipped: bool
    sigma: float
    colours: Floats
    offset: float

    @classmethod
    def of(cls, drawn: NDArray[np.floating], smallest_crop: float) -> View:
        """drawn (13,): in [0, 1)."""
        area, ratio, top, left, flip, jitter, bright, contrast, saturation, hue, grey, blur, sigma = drawn.tolist()
        share = smallest_crop + (1 - smallest_crop) * area
        aspect = ASPECT ** (2 * ratio - 1)
        height, width = min(1.0, math.sqrt(share / aspect)), min(1.0, math.sqrt(share * aspect))
        jittered = jitter < JITTERED
        factor = _about_one(bright, BRIGHTNESS) if jittered else 1.0
        steeper = _about_one(contrast, CONTRAST) if jittered else 1.0
        colours = _colours(_about_one(saturation, SATURATION), (2 * hue - 1) * HUE) if jittered else np.eye(3)
        if grey < GREY:
            colours = np.tile(LUMINANCE, (3, 1)) @ colours
        return cls(
            top=top * (1 - height),
            left=left * (1 - width),
            height=height,
            width=width,
            flipped=flip < FLIPPED,
            sigma=(BLUR[0] + (BLUR[1] - BLUR[0]) * sigma) / BLUR_SIDE if blur < BLURRED else 0.0,
            colours=colours * factor * steeper,
            offset=factor * (1 - steeper),
        )


def drawn_views(settings: ViewSettings, rng: np.random.Generator) -> tuple[View, ...]:
    """The views of one plan, from raw 64-bit words, whose stream NumPy fixes for good."""
    words = rng.bit_generator.random_raw(settings.count * DRAWN)
    drawn = (words >> np.uint64(11)) * 2.0**-53
    return tuple(View.of(row, settings.smallest_crop) for row in drawn.reshape(settings.count, DRAWN))


def applied(views: tuple[View, ...], size: int) -> AppliedViews:
    """The views of images of `size` pixels a side."""
    rows = [_weights(view.top, view.height, view.sigma, size) for view in views]
    columns = [_weights(view.left, view.width, view.sigma, size) for view in views]
    columns = [one[::-1] if view.flipped else one for one, view in zip(columns, views, strict=True)]
    return AppliedViews(
        np.stack(rows),
        np.stack(columns),
        np.stack([np.rint(view.colours * COLOUR_UNIT).astype(np.int64) for view in views]),
        np.array([view.offset for view in views]),
    )


def _about_one(drawn: float, reach: float) -> float:
    return 1 + (2 * drawn - 1) * reach


def _colours(saturation: float, turn: float) -> Floats:
    """(3, 3): grey levels stay, colours are stronger or weaker and turned."""
    angle = 2 * math.pi * turn
    turned = np.array([[1, 0, 0], [0, math.cos(angle), -math.sin(angle)], [0, math.sin(angle), math.cos(angle)]])
    hue: Floats = np.linalg.solve(YIQ, turned @ YIQ)
    return hue @ (saturation * np.eye(3) + (1 - saturation) * np.tile(LUMINANCE, (3, 1)))


def _weights(start: float, length: float, sigma: float, size: int) -> NDArray[np.uint8]:
    """(S, S): bilinear samples of a crop, then a Gaussian over them, edges repeated, in whole 128ths."""
    places = np.clip((start + length * (np.arange(size) + 0.5) / size) * size - 0.5, 0, size - 1)
    low = np.minimum(places.astype(np.int64), max(size - 2, 0))
    sampled: Floats = np.zeros((size, size))
    np.add.at(sampled, (np.arange(size), low), 1 - (places - low))
    np.add.at(sampled, (np.arange(size), np.minimum(low + 1, size - 1)), places - low)
    return _in_units(_gaussian(sigma * size, size) @ sampled)


def _gaussian(sigma: float, size: int) -> Floats:
    reach = math.ceil(3 * sigma)
    if reach == 0:
        return np.eye(size)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    blurring: Floats = np.zeros((size, size))
    for tap, offset in zip(taps / taps.sum(), range(-reach, reach + 1), strict=True):
        np.add.at(blurring, (np.arange(size), np.clip(np.arange(size) + offset, 0, size - 1)), tap)
    return blurring


def _in_units(weights: Floats) -> NDArray[np.uint8]:
    """Rows that sum to one in whole units: rounded down, the rest to those that lost most."""
    scaled = weights * PLACE_UNIT
    whole = np.floor(scaled + 1e-9)
    order = np.argsort(-(scaled - whole), axis=1, kind="stable")
    missing = np.rint(PLACE_UNIT - whole.sum(axis=1)).astype(np.int64)
    for row, (places, count) in enumerate(zip(order, missing, strict=True)):
        whole[row, places[:count]] += 1
    return whole.astype(np.uint8)
