"""Attacks that change the pixels of every image by itself."""

from __future__ import annotations

import io
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from audits.pilots.checked import real, whole
from audits.robustness.attacks.attack import CopyAttack
from audits.robustness.copies import Copy
from provenance.wording import percent

if TYPE_CHECKING:  # loads torch
    from audits.robustness.evader import Evader

Pixels = NDArray[np.uint8]
AT_ONCE = 512  # images between two questions whether to go on


class OfPixels(CopyAttack):
    """The images one after another, each with the generator that all share."""

    def copied(self, copy: Copy, evader: Evader) -> Copy:
        rng, images = evader.rng(), np.empty_like(copy.data.images)
        for number, image in enumerate(copy.data.images):
            if number % AT_ONCE == 0:
                evader.told()
            images[number] = self.image(image, rng)
        return copy.looking(images)

    @abstractmethod
    def image(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """One image ``(S, S, 3) uint8`` as it is trained on."""


@dataclass(frozen=True)
class Jpeg(OfPixels):
    name = "jpeg"
    changes = "writes every image as a JPEG of lower quality"
    quality: int = whole(1, 100, 75)

    @property
    def title(self) -> str:
        return f"JPEG, quality {self.quality}"

    def image(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        written = io.BytesIO()
        Image.fromarray(pixels).save(written, "JPEG", quality=self.quality)
        return np.asarray(Image.open(written).convert("RGB"))


@dataclass(frozen=True)
class Resized(OfPixels):
    name = "resize"
    changes = "scales every image down and up again"
    side: float = real(0.1, 1, 0.5)  # share of the side that is left in between

    @property
    def title(self) -> str:
        return f"resized to {percent(self.side)} of the side and back"

    def image(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        image = Image.fromarray(pixels)
        small = image.resize([max(1, round(self.side * length)) for length in image.size], Image.Resampling.BICUBIC)
        return np.asarray(small.resize(image.size, Image.Resampling.BICUBIC))


@dataclass(frozen=True)
class Blurred(OfPixels):
    name = "blur"
    changes = "blurs every image"
    deviation: float = real(0.1, 20, 1.0)  # pixels

    @property
    def title(self) -> str:
        return f"Gaussian blur of {self.deviation:g} px"

    def image(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(self.deviation)))


@dataclass(frozen=True)
class Median(OfPixels):
    name = "median"
    changes = "replaces every pixel by the median around it"
    reach: int = whole(1, 10, 1)  # pixels to either side

    @property
    def title(self) -> str:
        size = 2 * self.reach + 1
        return f"median of {size} × {size} px"

    def image(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        return np.asarray(Image.fromarray(pixels).filter(ImageFilter.MedianFilter(2 * self.reach + 1)))


@dataclass(frozen=True)
class Noise(OfPixels):
    name = "noise"
    changes = "adds Gaussian noise to every image, once"
    deviation: float = real(0.1, 128, 8.0)  # grey levels

    @property
    def title(self) -> str:
        return f"noise of {self.deviation:g} grey levels"

    def image(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        noisy = pixels + rng.normal(0, self.deviation, pixels.shape)
        return noisy.round().clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class FewColours(OfPixels):
    name = "few-colours"
    changes = "leaves every image a small palette of its own"
    colours: int = whole(2, 256, 16)

    @property
    def title(self) -> str:
        return f"{self.colours} colours an image"

    def image(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        few = Image.fromarray(pixels).quantize(self.colours, dither=Image.Dither.NONE)
        return np.asarray(few.convert("RGB"))
