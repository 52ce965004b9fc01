"""How a picture becomes a network's input. One rule for all suspects, so that audits can be repeated.

Short edge to the input size (bicubic with antialiasing, as torchvision's and open_clip's evaluation transforms do),
then the centre square; rounded to 8 bits, for a model is given pictures. A picture of the right size is left as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def prepared(images: Tensor, size: int) -> Tensor:
    """(N, H, W, 3) uint8 to (N, 3, size, size) uint8."""
    pixels = images.permute(0, 3, 1, 2)
    height, width = pixels.shape[2:]
    if height == width == size:
        return pixels.contiguous()
    short = min(height, width)
    tall, wide = (size if side == short else max(size, round(side * size / short)) for side in (height, width))
    resized = functional.interpolate(
        pixels.float(), size=(tall, wide), mode="bicubic", align_corners=False, antialias=True
    )
    top, left = (tall - size) // 2, (wide - size) // 2
    square = resized[:, :, top : top + size, left : left + size]
    return square.round().clamp(0, 255).to(torch.uint8).contiguous()
