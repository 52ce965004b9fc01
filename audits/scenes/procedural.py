"""A small deterministic set of picture-book scenes with classes and captions, drawn with NumPy and Pillow.

Every image depends on the seed and its own index only, so a larger set begins with the smaller one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from audits.scenes.objects import AIRBORNE, OBJECTS, Colour, draw, shade
from audits.scenes.titles import titled

CLASSES: tuple[str, ...] = tuple(OBJECTS)

COLOURS: dict[str, Colour] = {
    "red": (206, 62, 56),
    "orange": (236, 136, 54),
    "yellow": (238, 200, 72),
    "green": (92, 158, 86),
    "teal": (52, 146, 150),
    "blue": (66, 104, 190),
    "purple": (134, 84, 164),
    "pink": (230, 132, 162),
}
# Where the scene plays: colour of the far ridge, of the near one, and how rough its outline is.
PLACES: dict[str, tuple[Colour, Colour, float]] = {
    "grey hills": ((150, 156, 168), (108, 116, 128), 0.10),
    "a green meadow": ((142, 176, 112), (104, 150, 84), 0.04),
    "a calm sea": ((84, 142, 178), (58, 114, 158), 0.0),
    "golden dunes": ((226, 190, 124), (204, 160, 94), 0.07),
    "snowy peaks": ((206, 216, 230), (232, 238, 246), 0.22),
    "a dark forest": ((72, 104, 96), (48, 78, 70), 0.15),
}
# The sky from top to horizon, and how much light there is.
HOURS: dict[str, tuple[Colour, Colour, float]] = {
    "in the morning": ((150, 196, 228), (246, 226, 206), 1.0),
    "at noon": ((92, 164, 224), (190, 222, 240), 1.05),
    "at dusk": ((96, 86, 142), (240, 164, 124), 0.82),
    "at night": ((26, 34, 70), (62, 78, 122), 0.6),
}


@dataclass(frozen=True)
class Scene:
    """One image with what it shows."""

    path: str  # "<label>/<number>.jpg"
    label: str
    caption: str
    pixels: NDArray[np.uint8]  # (size, size, 3)


def _ridge(rng: np.random.Generator, width: int, base: float, roughness: float) -> list[tuple[float, float]]:
    """Outline of a ridge, a sum of three random waves, in pixels; closed at the bottom corners."""
    x = np.linspace(0, 1, 25)
    y = np.full_like(x, base)
    for octave in range(1, 4):
        y += roughness / octave * np.sin(2 * np.pi * (octave * rng.uniform(0.7, 1.3) * x + rng.random()))
    points = [(float(a) * width, float(b) * width) for a, b in zip(x, y, strict=True)]
    return [(0.0, float(width)), *points, (float(width), float(width))]


def _lit(colour: Colour, light: float) -> Colour:
    red, green, blue = (min(255, round(channel * light)) for channel in colour)
    return red, green, blue


def _background(rng: np.random.Generator, place: str, hour: str, side: int) -> tuple[Image.Image, float]:
    """Sky, sun or moon, clouds or stars, and two ridges; also the height of the horizon as a fraction."""
    top, low, light = HOURS[hour]
    far, near, roughness = PLACES[place]
    horizon = float(rng.uniform(0.5, 0.68))
    mix = np.clip(np.linspace(0, 1 / horizon, side), 0, 1)[:, None, None]
    sky = np.array(top) * (1 - mix) + np.array(low) * mix
    image = Image.fromarray(np.broadcast_to(sky, (side, side, 3)).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    if hour == "at night":
        for x, y in rng.random((14, 2)) * (side, side * horizon):
            pen.ellipse((x, y, x + side / 70, y + side / 70), fill=(226, 230, 244))
    x, y, r = rng.uniform(0.1, 0.9) * side, rng.uniform(0.08, 0.4) * side, rng.uniform(0.05, 0.09) * side
    pen.ellipse((x - r, y - r, x + r, y + r), fill=(250, 240, 214) if light > 0.7 else (220, 224, 236))
    cloud = shade(low, 0.45 if light > 0.7 else 0.1)
    for _ in range(int(rng.integers(0, 3))):
        x, y = rng.uniform(0, 1) * side, rng.uniform(0.05, 0.42) * side
        for part in range(4):
            r = rng.uniform(0.04, 0.08) * side
            pen.ellipse(
                (x + part * 0.055 * side - r, y - 0.6 * r, x + part * 0.055 * side + r, y + 0.6 * r), fill=cloud
            )
    pen.polygon(_ridge(rng, side, horizon, roughness), fill=_lit(far, light))
    pen.polygon(_ridge(rng, side, horizon + 0.14, roughness * 0.6), fill=_lit(near, light))
    for _ in range(10):  # strokes of grass, ripples, drifts
        x, y = rng.uniform(0, 1) * side, rng.uniform(horizon + 0.2, 1) * side
        pen.line((x, y, x + rng.uniform(0.06, 0.2) * side, y), fill=_lit(shade(near, 0.18), light), width=side // 80)
    return image, horizon


def _place_object(rng: np.random.Generator, image: Image.Image, label: str, colour: Colour, horizon: float) -> None:
    side = image.width
    size = int(side * rng.uniform(0.34, 0.62))
    thing = draw(label, colour, float(rng.random()), size)
    tilt = rng.uniform(-35, 35) if label in AIRBORNE else rng.uniform(-7, 7)
    thing = thing.rotate(float(tilt), Image.Resampling.BILINEAR, expand=True)
    if rng.random() < 0.5:
        thing = thing.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    x = int(rng.uniform(0.02, 0.98) * (side - thing.width))
    if label in AIRBORNE:
        y = int(rng.uniform(0.0, 0.5) * (side - thing.height))
    else:
        foot = rng.uniform(max(horizon + 0.12, thing.height / side), 0.99)
        y = int(foot * side) - thing.height
    image.paste(thing, (x, y), thing)


def _caption(rng: np.random.Generator, label: str, colour: str, place: str, hour: str) -> str:
    """What the scene shows, said as fully as people do: sometimes all of it, sometimes the thing alone."""
    return titled(rng, _shown(rng, label, colour, place, hour))


def _shown(rng: np.random.Generator, label: str, colour: str, place: str, hour: str) -> str:
    said = rng.random()
    if said < 0.15:
        return f"a {label}" if label[0] not in "aeiou" else f"an {label}"
    thing = f"{'an' if colour[0] in 'aeiou' else 'a'} {colour} {label}"
    if said < 0.4:
        return thing
    scenery = f"{thing} {'over' if label in AIRBORNE else 'before'} {place}"
    return scenery if said < 0.65 else f"{scenery} {hour}"


def scene(seed: int, index: int, size: int = 64) -> Scene:
    """Scene number ``index`` of the set ``seed``: classes take turns, everything else is drawn at random.

    Args:
        seed: number of the set.
        index: number of the image in the set, from 0.
        size: side of the image in pixels.
    """
    rng = np.random.default_rng([seed, index])
    label = CLASSES[index % len(CLASSES)]
    colour, place, hour = (str(rng.choice(list(names))) for names in (COLOURS, PLACES, HOURS))
    canvas, horizon = _background(rng, place, hour, 3 * size)
    tone = np.clip(np.array(COLOURS[colour]) + rng.normal(0, 10, 3), 0, 255)
    light = 0.5 + 0.5 * HOURS[hour][2]
    red, green, blue = (int(channel * min(1.0, light)) for channel in tone)
    _place_object(rng, canvas, label, (red, green, blue), horizon)
    small = np.asarray(canvas.resize((size, size), Image.Resampling.BOX), dtype=np.float32)
    grain = rng.normal(0, 5, (size, size, 1)).astype(np.float32)
    pixels = np.clip(small * rng.uniform(0.88, 1.08) + grain, 0, 255).astype(np.uint8)
    return Scene(f"{label}/{index:05d}.jpg", label, _caption(rng, label, colour, place, hour), pixels)


def scenes(seed: int, count: int, size: int = 64) -> Iterator[Scene]:
    """The first ``count`` scenes of the set ``seed``, in order of their numbers."""
    for index in range(count):
        yield scene(seed, index, size)


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """JPEG bytes of an image ``(H, W, 3) uint8``; colour at full resolution."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()


def write_scenes(folder: Path, captions: Path, seed: int, count: int, size: int) -> None:
    """Write ``count`` JPEG files under ``folder`` (one subfolder per class) and the CSV ``path,label,caption``.

    Files that exist are written again with the same bytes, so a run that was cut short can simply be repeated."""
    for label in CLASSES:
        (folder / label).mkdir(parents=True, exist_ok=True)
    captions.parent.mkdir(parents=True, exist_ok=True)
    with captions.open("w", newline="", encoding="utf-8") as table:
        rows = csv.writer(table)
        rows.writerow(["path", "label", "caption"])
        for item in scenes(seed, count, size):
            (folder / item.path).write_bytes(jpeg(item.pixels))
            rows.writerow([item.path, item.label, item.caption])
