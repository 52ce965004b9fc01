"""Views of images as pixels, on the network's device. In the child only.

Every product and sum is one of whole numbers below 2^24, which single precision holds exactly: the same picture comes
out to the last bit, on every device and however many images are made at a time.
"""

from __future__ import annotations

import torch
from torch import Tensor

from audits.suspects.views import COLOUR_UNIT, PLACE_UNIT, AppliedViews

LUMINANCE = (299, 587, 114)  # thousandths, ITU-R BT.601


class ViewMaker:
    """Makes views of images on one device."""

    def __init__(self, views: AppliedViews, device: torch.device) -> None:
        def held(name: str) -> Tensor:
            return torch.from_numpy(views.arrays()[name].copy()).to(device)

        self.size, self.count = views.size, len(views)
        self._rows = held("rows").float()[:, None]
        self._columns = held("columns").float().transpose(1, 2).contiguous()[:, None]
        self._colours = held("colours").float()
        self._offsets = held("offsets")
        self._luminance = torch.tensor(LUMINANCE, dtype=torch.int64, device=device)

    def __call__(self, images: Tensor, numbers: Tensor) -> Tensor:
        """View numbers[i] of image i: (B, 3, S, S) uint8 and (B,) int64 to (B, 3, S, S) float32, whole grey levels."""
        count, size = len(images), self.size
        pixels = torch.matmul(torch.matmul(self._rows[numbers], images.float()), self._columns[numbers])
        pixels = pixels.mul_(1 / PLACE_UNIT**2).round_().view(count, 3, size * size)
        mixed = torch.baddbmm(self._added(images, numbers), self._colours[numbers], pixels)
        return mixed.mul_(1 / COLOUR_UNIT).round_().clamp_(0, 255).view(count, 3, size, size)

    def _added(self, images: Tensor, numbers: Tensor) -> Tensor:
        """(B, 1, 1) what contrast adds to every pixel, in whole units of the colours."""
        sums = images.sum(dim=(2, 3), dtype=torch.int64)
        mean = (sums * self._luminance).sum(dim=1).double() / (1000 * self.size**2)
        return (mean * self._offsets[numbers] * COLOUR_UNIT).round().float()[:, None, None]
