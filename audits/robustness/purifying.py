"""A small denoising autoencoder, after Vincent et al. 2008: what it gives back of an image is what the copy is like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audits.pilots.augmentation import channels_first
from audits.pilots.threads import linear_algebra_threads

if TYPE_CHECKING:
    from audits.robustness.evader import Evader

WIDTH, BATCH, RATE = 32, 64, 2e-3


class _Autoencoder(nn.Module):
    """Half the side, then back; grey levels 0 to 1 in and out."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, WIDTH, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, 1, 1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Conv2d(WIDTH, WIDTH, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(WIDTH, 3, 3, 1, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        given: Tensor = self.layers(images)[..., : images.shape[2], : images.shape[3]]  # an odd side came back longer
        return given


def purified(images: NDArray[np.uint8], epochs: int, noise: float, evader: Evader) -> NDArray[np.uint8]:
    """Images ``(N, S, S, 3) uint8`` after an autoencoder that learnt on them; noise: in grey levels."""
    device, generator = evader.model.device, evader.generator()
    with linear_algebra_threads(evader.recipe.threads), torch.random.fork_rng():
        torch.manual_seed(evader.seed)
        network = _Autoencoder().to(device)
        optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
        pixels = channels_first(torch.from_numpy(images))
        for _ in range(epochs):
            for chosen in torch.randperm(len(pixels)).split(BATCH):
                evader.told()
                clean = pixels[chosen].to(device).float() / 255
                drawn = torch.randn(clean.shape, generator=generator, device=device) * (noise / 255)
                loss = nn.functional.mse_loss(network(clean + drawn), clean)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        with torch.inference_mode():
            blocks = [network(block.to(device).float() / 255) for block in pixels.split(BATCH)]
    levels = (torch.cat(blocks) * 255).round().clamp(0, 255).byte()
    return levels.permute(0, 2, 3, 1).cpu().numpy()
