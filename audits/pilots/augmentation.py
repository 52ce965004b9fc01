"""What a learner does to a batch of pictures before it sees them, on the device that it learns on.

B images of S pixels a side. Crop, flip and blur are each linear in rows and columns, so two products of matrices do
all three; colours are one product per pixel. Every image draws its own numbers.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from audits.pilots.recipe import DEVIATION, MEAN, Augmentation

ASPECT = 4 / 3  # of a crop, and its inverse
BLUR = (0.1 / 224, 2.0 / 224)  # deviation in sides, SimCLR's 0.1 to 2 pixels of 224
SHARP = 1e-3  # deviation in pixels that leaves every pixel alone
LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601
YIQ = (LUMINANCE, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


def to_input(images: Tensor) -> Tensor:
    """Grey levels ``(B, 3, S, S)``, 0 to 255, to the network's input in channels-last memory."""
    mean, deviation = (torch.tensor(numbers, device=images.device)[:, None, None] for numbers in (MEAN, DEVIATION))
    return ((images.float() / 255 - mean) / deviation).contiguous(memory_format=torch.channels_last)


def channels_first(images: Tensor) -> Tensor:
    """``(B, S, S, 3)`` to ``(B, 3, S, S)``, without a copy."""
    return images.permute(0, 3, 1, 2)


def shifted(images: Tensor, largest: int, generator: Generator) -> Tensor:
    """Every image ``(B, S, S, 3)`` moved by its own random offset of up to ``largest`` pixels, edges repeated."""
    if largest == 0:
        return images
    count, side = images.shape[:2]
    device = images.device
    offsets = torch.randint(-largest, largest + 1, (2, count, 1), generator=generator, device=device)
    rows, columns = (torch.arange(side, device=device) + offsets).clamp(0, side - 1)
    return images[torch.arange(count, device=device)[:, None, None], rows[:, :, None], columns[:, None, :]]


def mirrored(images: Tensor, chance: float, generator: Generator) -> Tensor:
    """Images ``(B, S, S, 3)``, each turned left to right by chance."""
    turned = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < chance
    return torch.where(turned, images.flip(2), images)


def view(images: Tensor, settings: Augmentation, generator: Generator) -> Tensor:
    """One view of every image: grey levels ``(B, 3, S, S)``, 0 to 255, floats in and out."""
    rows, columns = _places(len(images), images.shape[-1], settings, generator, images.device)
    cropped = rows[:, None] @ images @ columns[:, None].transpose(2, 3)
    return _coloured(cropped, settings, generator).clamp(0, 255)


def _places(
    count: int, side: int, settings: Augmentation, generator: Generator, device: torch.device
) -> tuple[Tensor, Tensor]:
    """(B, S, S) twice: which rows, and which columns, of an image make those of its view."""
    drawn = torch.rand(7, count, generator=generator, device=device)
    area, ratio, top, left, flip, blur, sigma = drawn
    share = settings.smallest_crop + (settings.largest_crop - settings.smallest_crop) * area
    aspect = ASPECT ** (2 * ratio - 1)
    height, width = (share / aspect).sqrt().clamp(max=1), (share * aspect).sqrt().clamp(max=1)
    deviation = (BLUR[0] + (BLUR[1] - BLUR[0]) * sigma) * side
    blurring = _gaussian(torch.where(blur < settings.blurred, deviation, SHARP), side)
    rows = blurring @ _samples(top * (1 - height), height, side)
    columns = blurring @ _samples(left * (1 - width), width, side)
    return rows, torch.where((flip < settings.flipped)[:, None, None], columns.flip(1), columns)


def _samples(start: Tensor, length: Tensor, side: int) -> Tensor:
    """(B, S, S): bilinear weights of a crop that is sized up to all of the image; start and length in sides."""
    pixels = torch.arange(side, device=start.device)
    places = (start[:, None] + length[:, None] * (pixels + 0.5) / side) * side - 0.5
    return (1 - (places.clamp(0, side - 1)[:, :, None] - pixels).abs()).clamp(min=0)


def _gaussian(deviation: Tensor, side: int) -> Tensor:
    """(B, S, S): a blur of this deviation in pixels, whose weights are those of the pixels that are there."""
    pixels = torch.arange(side, device=deviation.device)
    distance = (pixels[:, None] - pixels).square() / (2 * deviation[:, None, None].square())
    weights = (-distance).exp()
    return weights / weights.sum(dim=2, keepdim=True)


def _coloured(images: Tensor, settings: Augmentation, generator: Generator) -> Tensor:
    """Brightness, contrast about the mean, saturation and hue of some; then grey, some."""
    count, device = len(images), images.device
    drawn = torch.rand(6, count, generator=generator, device=device)
    jittered = (drawn[0] < settings.jittered).float()
    reaches = torch.tensor([settings.brightness, settings.contrast, settings.saturation], device=device)[:, None]
    bright, contrast, saturation = 1 + jittered * reaches * (2 * drawn[1:4] - 1)
    saturation = torch.where(drawn[5] < settings.grey, 0.0, saturation)
    colours = _colours(saturation, jittered * settings.hue * (2 * drawn[4] - 1))
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    turned = torch.bmm(colours, images.flatten(2)).unflatten(2, images.shape[2:])
    bright, contrast = bright[:, None, None, None], contrast[:, None, None, None]
    return bright * (contrast * turned + (1 - contrast) * mean)


def _colours(saturation: Tensor, turn: Tensor) -> Tensor:
    """(B, 3, 3): grey levels stay, colours are stronger or weaker and turned by so much of a circle (in YIQ)."""
    to_yiq = torch.tensor(YIQ, device=turn.device)
    angle = 2 * math.pi * turn
    middle = torch.zeros(len(turn), 3, 3, device=turn.device)
    middle[:, 0, 0] = 1
    middle[:, 1, 1] = middle[:, 2, 2] = saturation * angle.cos()
    middle[:, 2, 1] = saturation * angle.sin()
    middle[:, 1, 2] = -middle[:, 2, 1]
    return torch.linalg.inv(to_yiq) @ middle @ to_yiq
