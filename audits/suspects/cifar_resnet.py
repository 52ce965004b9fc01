"""The plain CIFAR ResNet of He et al. 2016, section 4.2 (depth 6n + 2, 16-32-64 channels, option A shortcuts).

Names of the parts follow the files in circulation (conv1, bn1, layer1.0.conv1 …, linear), so that they load strictly.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Block(nn.Module):
    """Two 3x3 convolutions; a shortcut without parameters: every second pixel, missing channels filled with zeros."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.stride, self.added = stride, channels_out - channels_in

    def forward(self, x: Tensor) -> Tensor:
        short = x
        if self.stride != 1 or self.added:
            before = self.added // 2
            short = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.added - before))
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + short)


class CifarResNet(nn.Module):
    """``depth`` 20, 32, 44 or 56; ``forward`` takes (B, C, 32, 32) and returns features (B, 64) and logits or None."""

    def __init__(self, depth: int, channels: int = 3, classes: int | None = 10) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(channels, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._stage(16, 16, blocks, 1)
        self.layer2 = self._stage(16, 32, blocks, 2)
        self.layer3 = self._stage(32, 64, blocks, 2)
        self.linear: nn.Linear | None = nn.Linear(64, classes) if classes else None

    @staticmethod
    def _stage(channels_in: int, channels_out: int, blocks: int, stride: int) -> nn.Sequential:
        first = _Block(channels_in, channels_out, stride)
        return nn.Sequential(first, *(_Block(channels_out, channels_out, 1) for _ in range(blocks - 1)))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        maps = functional.relu(self.bn1(self.conv1(images)))
        maps = self.layer3(self.layer2(self.layer1(maps)))
        features = torch.mean(maps, dim=(2, 3))
        return features, None if self.linear is None else self.linear(features)
