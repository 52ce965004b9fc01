"""What a suspect's network is given: images by number, marked or in views where asked for. In the child only.

Everything happens on the network's device and for many images at a time; nothing comes back from there before the
answers do, so a GPU never waits for the processor.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audits.suspects.architectures import Encoder
from audits.suspects.errors import SuspectError
from audits.suspects.preparation import prepared
from audits.suspects.protocol import Frame
from audits.suspects.view_pixels import ViewMaker
from provenance.marks import MarkSettings, family_for

# Numbers marked at a time on a CPU: 3 MiB as floats, which its cache holds for the most part; 5 images of 224 pixels or
# 256 of 32. Fewer cost more calls, more leave the cache, `warp` first. A GPU takes whole batches.
_AT_ONCE = 3 * 2**18
_RESIZED_AT_ONCE = 256


class Change(Protocol):
    """What is done to the images `block` of a request, (B, 3, S, S) uint8, before a network sees them."""

    def __call__(self, pixels: Tensor, block: slice) -> Tensor: ...


class Seen:
    """A view of every image of a request: numbers (n,) int64, on the device."""

    def __init__(self, views: ViewMaker, numbers: Tensor) -> None:
        self._views, self._numbers = views, numbers

    def __call__(self, pixels: Tensor, block: slice) -> Tensor:
        return self._views(pixels, self._numbers[block])


class Mark:
    """One mark as a request names it: the family of its settings, patterns on the device, places where NumPy is."""

    def __init__(self, frame: Frame, device: torch.device) -> None:
        self._family = family_for(MarkSettings.from_json(frame.header["settings"]))
        self._patterns = to_device(torch.from_numpy(frame.arrays["patterns"]), device)
        self._places = torch.from_numpy(frame.arrays["placements"])

    def __call__(self, pixels: Tensor, block: slice) -> Tensor:
        """Marked copies of the images `block` of the request, (B, 3, S, S) float grey levels."""
        patterns = self._patterns if len(self._patterns) == 1 else self._patterns[block]
        places = self._places.expand(len(pixels), 2) if len(self._places) == 1 else self._places[block]
        return self._family.apply(pixels, patterns, places)


class Inputs:
    """Fills one batch of network input after the other, always in the same memory."""

    def __init__(self, encoder: Encoder, batch: int) -> None:
        size, device = encoder.input_size, encoder.device
        self._encoder, self._batch = encoder, batch
        self._step = max(1, _AT_ONCE // (3 * size * size)) if device.type == "cpu" else batch
        self._memory: Tensor | None = None

    def fill(self, images: Tensor, indices: Tensor, start: int, change: Change | None) -> Tensor:
        """The batch that begins at `start` of a request: (B, C, S, S), valid until the next call.

        images: (N, 3, S, S) uint8 and indices: (n,) int64, both on the device.
        """
        encoder, size = self._encoder, self._encoder.input_size
        if self._memory is None:
            self._memory = torch.empty((self._batch, encoder.channels, size, size), device=encoder.device)
        stop = min(start + self._batch, len(indices))
        for first in range(start, stop, self._step):
            block = slice(first, min(first + self._step, stop))
            pixels = images.index_select(0, indices[block])
            shown = change(pixels, block) if change else pixels.float()
            encoder.normalise(shown, out=self._memory[block.start - start : block.stop - start])
        return self._memory[: stop - start]


def received(images: NDArray[np.uint8], encoder: Encoder) -> Tensor:
    """Images (N, H, W, 3) as they came through the pipe, brought to the input size: (N, 3, S, S) on the device."""
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8 or 0 in images.shape:
        raise SuspectError("request", "Images come as an array (N, H, W, 3) of bytes.")
    blocks = torch.from_numpy(images).split(_RESIZED_AT_ONCE)
    return to_device(torch.cat([prepared(block, encoder.input_size) for block in blocks]), encoder.device)


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """A copy on a GPU goes through pinned memory, so that nobody waits for it."""
    if device.type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)
