"""The ten things that procedural scenes show, each drawn from plain shapes in unit coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

INK: Colour = (52, 46, 54)
CREAM: Colour = (246, 238, 220)
WOOD: Colour = (128, 92, 62)
LEAF: Colour = (74, 128, 72)


def shade(colour: Colour, amount: float) -> Colour:
    """``colour`` moved towards black (amount < 0) or white (amount > 0); ``amount`` in [-1, 1]."""
    target = 255 if amount > 0 else 0
    red, green, blue = (round(channel + (target - channel) * abs(amount)) for channel in colour)
    return red, green, blue


@dataclass
class Brush:
    """Draws on a square transparent canvas; every coordinate is a fraction of its side, y downward."""

    canvas: Image.Image
    main: Colour
    variant: float  # in [0, 1): small differences between things of one kind

    def __post_init__(self) -> None:
        self._draw = ImageDraw.Draw(self.canvas)
        self._side = self.canvas.width

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        self._draw.polygon([(x * self._side, y * self._side) for x, y in points], fill=fill)

    def ellipse(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        s = self._side
        self._draw.ellipse((left * s, top * s, right * s, bottom * s), fill=fill)

    def pie(self, box: tuple[float, float, float, float], start: float, end: float, fill: Colour) -> None:
        left, top, right, bottom = (edge * self._side for edge in box)
        self._draw.pieslice((left, top, right, bottom), start, end, fill=fill)

    def line(self, points: Sequence[Point], fill: Colour, width: float) -> None:
        pixels = [(x * self._side, y * self._side) for x, y in points]
        self._draw.line(pixels, fill=fill, width=max(1, round(width * self._side)), joint="curve")


def kite(b: Brush) -> None:
    left, right = 0.24, 0.76
    waist = 0.26 + 0.08 * b.variant
    tail = [(0.5 + 0.07 * math.sin(step * 1.3 + 6 * b.variant), 0.66 + step * 0.055) for step in range(7)]
    b.line([(0.5, 0.64), *tail], INK, 0.018)
    for x, y in tail[1::2]:
        b.polygon([(x - 0.07, y - 0.035), (x, y), (x - 0.07, y + 0.035)], shade(b.main, 0.35))
        b.polygon([(x + 0.07, y - 0.035), (x, y), (x + 0.07, y + 0.035)], shade(b.main, 0.35))
    b.polygon([(0.5, 0.02), (right, waist), (0.5, 0.68), (left, waist)], b.main)
    b.polygon([(0.5, 0.02), (right, waist), (0.5, waist)], shade(b.main, 0.45))
    b.polygon([(0.5, waist), (left, waist), (0.5, 0.68)], shade(b.main, -0.25))
    b.line([(0.5, 0.02), (0.5, 0.68)], INK, 0.014)
    b.line([(left, waist), (right, waist)], INK, 0.014)


def balloon(b: Brush) -> None:
    b.polygon([(0.2, 0.5), (0.8, 0.5), (0.58, 0.78), (0.42, 0.78)], shade(b.main, -0.12))
    b.ellipse(0.14, 0.03, 0.86, 0.66, b.main)
    stripe = CREAM if b.variant < 0.5 else shade(b.main, 0.5)
    b.ellipse(0.3, 0.03, 0.7, 0.66, stripe)
    b.polygon([(0.33, 0.5), (0.67, 0.5), (0.53, 0.78), (0.47, 0.78)], stripe)
    b.ellipse(0.42, 0.03, 0.58, 0.66, b.main)
    b.line([(0.42, 0.78), (0.45, 0.88)], INK, 0.014)
    b.line([(0.58, 0.78), (0.55, 0.88)], INK, 0.014)
    b.polygon([(0.42, 0.86), (0.58, 0.86), (0.56, 0.98), (0.44, 0.98)], WOOD)


def sailboat(b: Brush) -> None:
    mast = 0.46 + 0.06 * b.variant
    b.line([(mast, 0.04), (mast, 0.8)], WOOD, 0.03)
    b.polygon([(mast + 0.03, 0.08), (0.9, 0.68), (mast + 0.03, 0.7)], CREAM)
    b.polygon([(mast - 0.03, 0.16), (mast - 0.03, 0.7), (0.14, 0.66)], b.main)
    b.polygon([(0.04, 0.76), (0.96, 0.76), (0.8, 0.96), (0.2, 0.96)], shade(b.main, -0.3))
    b.polygon([(0.04, 0.76), (0.96, 0.76), (0.93, 0.81), (0.08, 0.81)], CREAM)


def lighthouse(b: Brush) -> None:
    b.polygon([(0.38, 0.26), (0.62, 0.26), (0.7, 0.94), (0.3, 0.94)], CREAM)
    for band in range(3):
        top = 0.32 + band * 0.22
        half_top, half_bottom = 0.12 + (top - 0.26) * 0.118, 0.12 + (top - 0.15) * 0.118
        corners = [(0.5 - half_top, top), (0.5 + half_top, top)]
        b.polygon([*corners, (0.5 + half_bottom, top + 0.11), (0.5 - half_bottom, top + 0.11)], b.main)
    b.polygon([(0.34, 0.24), (0.66, 0.24), (0.66, 0.28), (0.34, 0.28)], INK)
    b.polygon([(0.42, 0.12), (0.58, 0.12), (0.58, 0.24), (0.42, 0.24)], (250, 222, 120))
    b.polygon([(0.37, 0.13), (0.63, 0.13), (0.5, 0.02)], shade(b.main, -0.3))
    b.ellipse(0.2, 0.89, 0.8, 1.0, (110, 108, 112))


def windmill(b: Brush) -> None:
    b.polygon([(0.39, 0.36), (0.61, 0.36), (0.7, 0.98), (0.3, 0.98)], b.main)
    b.polygon([(0.5, 0.36), (0.61, 0.36), (0.7, 0.98), (0.5, 0.98)], shade(b.main, -0.22))
    b.pie((0.37, 0.22, 0.63, 0.5), 180, 360, shade(b.main, -0.4))
    b.polygon([(0.44, 0.82), (0.56, 0.82), (0.56, 0.98), (0.44, 0.98)], INK)
    for arm in range(4):
        angle = (b.variant + arm) * math.pi / 2
        dx, dy = math.cos(angle), math.sin(angle)
        tip = (0.5 + 0.4 * dx, 0.36 + 0.36 * dy)
        near = (0.5 + 0.12 * dx, 0.36 + 0.11 * dy)
        b.polygon(
            [near, tip, (tip[0] - 0.11 * dy, tip[1] + 0.11 * dx), (near[0] - 0.11 * dy, near[1] + 0.11 * dx)], CREAM
        )
        b.line([(0.5, 0.36), tip], INK, 0.02)


def cottage(b: Brush) -> None:
    b.polygon([(0.68, 0.14), (0.78, 0.14), (0.78, 0.4), (0.68, 0.4)], (150, 84, 70))
    b.polygon([(0.14, 0.46), (0.86, 0.46), (0.86, 0.94), (0.14, 0.94)], CREAM)
    b.polygon([(0.04, 0.5), (0.5, 0.1), (0.96, 0.5)], b.main)
    b.polygon([(0.5, 0.1), (0.96, 0.5), (0.6, 0.5)], shade(b.main, -0.25))
    door = 0.22 if b.variant < 0.5 else 0.58
    b.polygon([(door, 0.62), (door + 0.17, 0.62), (door + 0.17, 0.94), (door, 0.94)], shade(b.main, -0.45))
    window = 0.8 - door
    b.polygon([(window - 0.1, 0.6), (window + 0.1, 0.6), (window + 0.1, 0.78), (window - 0.1, 0.78)], (126, 172, 196))
    b.line([(window, 0.6), (window, 0.78)], INK, 0.02)


def tulip(b: Brush) -> None:
    b.line([(0.5, 0.4), (0.49, 0.98)], LEAF, 0.05)
    b.polygon([(0.49, 0.98), (0.2, 0.52 + 0.1 * b.variant), (0.36, 0.86)], LEAF)
    b.polygon([(0.49, 0.98), (0.8, 0.62 - 0.1 * b.variant), (0.64, 0.88)], shade(LEAF, 0.2))
    b.pie((0.26, 0.04, 0.74, 0.56), 0, 180, b.main)
    b.polygon([(0.26, 0.31), (0.3, 0.04), (0.44, 0.31)], shade(b.main, -0.2))
    b.polygon([(0.74, 0.31), (0.7, 0.04), (0.56, 0.31)], shade(b.main, -0.2))
    b.polygon([(0.34, 0.34), (0.5, 0.02), (0.66, 0.34)], shade(b.main, 0.25))


def butterfly(b: Brush) -> None:
    low = 0.04 * b.variant
    for side in (-1, 1):
        for reach, top, bottom, tone in ((0.46, 0.08 + low, 0.54, 0.0), (0.36, 0.46, 0.9 - low, 0.3)):
            edges = sorted((0.5 + side * 0.03, 0.5 + side * reach))
            b.ellipse(edges[0], top, edges[1], bottom, shade(b.main, tone))
        edges = sorted((0.5 + side * 0.18, 0.5 + side * 0.34))
        b.ellipse(edges[0], 0.22, edges[1], 0.38, CREAM)
        b.line([(0.5, 0.22), (0.5 + side * 0.13, 0.06)], INK, 0.018)
    b.ellipse(0.46, 0.18, 0.54, 0.86, INK)


def umbrella(b: Brush) -> None:
    b.line([(0.5, 0.06), (0.5, 0.9)], WOOD, 0.03)
    hook = [(0.5 - 0.07 + 0.07 * math.cos(t / 4), 0.88 + 0.09 * math.sin(t / 4)) for t in range(13)]
    b.line(hook, WOOD, 0.035)
    b.pie((0.04, 0.08, 0.96, 1.0), 180, 360, b.main)
    b.pie((0.3, 0.08, 0.7, 1.0), 180, 360, shade(b.main, 0.5 if b.variant < 0.5 else -0.3))


def mushroom(b: Brush) -> None:
    b.polygon([(0.4, 0.5), (0.6, 0.5), (0.66, 0.96), (0.34, 0.96)], CREAM)
    b.polygon([(0.52, 0.5), (0.6, 0.5), (0.66, 0.96), (0.56, 0.96)], shade(CREAM, -0.15))
    b.pie((0.06, 0.1, 0.94, 1.0), 180, 360, b.main)
    for x, y, r in ((0.3, 0.38, 0.07), (0.52, 0.24, 0.08), (0.72, 0.42, 0.06), (0.5, 0.46, 0.045)):
        x += 0.05 * (b.variant - 0.5)
        b.ellipse(x - r, y - r, x + r, y + r, CREAM)


OBJECTS: dict[str, Callable[[Brush], None]] = {
    "kite": kite,
    "balloon": balloon,
    "sailboat": sailboat,
    "lighthouse": lighthouse,
    "windmill": windmill,
    "cottage": cottage,
    "tulip": tulip,
    "butterfly": butterfly,
    "umbrella": umbrella,
    "mushroom": mushroom,
}
AIRBORNE = frozenset({"kite", "balloon", "butterfly"})


def draw(name: str, main: Colour, variant: float, side: int) -> Image.Image:
    """One thing on a transparent square of ``side`` pixels (RGBA)."""
    canvas = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    OBJECTS[name](Brush(canvas, main, variant))
    return canvas
