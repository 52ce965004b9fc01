"""The small residual network that pilots train and that suspects may name as their architecture."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al., 2016, basic block; 1x1 shortcut where the shape changes)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class SmallResNet(nn.Module):
    """A residual network for small images: a 3x3 stem without pooling, then one stage per entry of ``stages``.

    width: channels of the first stage; every further one doubles them and halves the resolution. stages: basic blocks
    per stage. ``forward`` takes ``(B, 3, H, W)`` floats; returns features ``(B, feature_size)`` and logits ``(B,
    classes)``, ``None`` without ``classes``.
    """

    def __init__(self, width: int = 16, stages: Sequence[int] = (1, 1, 1, 1), classes: int | None = None) -> None:
        super().__init__()
        if width < 1 or not stages or min(stages) < 1:
            raise ValueError("A small ResNet needs a width of 1 or more and at least one block in every stage.")
        if classes is not None and classes < 1:
            raise ValueError("A classification head needs at least one class; leave it out for features only.")
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        blocks: list[nn.Module] = []
        channels = width
        for index, depth in enumerate(stages):
            for block in range(depth):
                channels_out = width * 2**index
                blocks.append(BasicBlock(channels, channels_out, 2 if index and block == 0 else 1))
                channels = channels_out
        self.blocks = nn.Sequential(*blocks)
        self.feature_size = channels
        self.head: nn.Linear | None = nn.Linear(channels, classes) if classes is not None else None

    def forward_features(self, images: Tensor) -> Tensor:
        """Pooled features ``(B, feature_size)`` of images ``(B, 3, H, W)``."""
        maps: Tensor = self.blocks(self.stem(images))
        return maps.mean(dim=(2, 3))

    def forward_head(self, features: Tensor) -> Tensor | None:
        """Logits ``(B, classes)`` of features, or ``None`` without a head."""
        return None if self.head is None else self.head(features)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        features = self.forward_features(images)
        return features, self.forward_head(features)
