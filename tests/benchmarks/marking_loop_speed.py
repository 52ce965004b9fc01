"""How long the audit takes to mark an image, against the style of published scripts: one PIL or NumPy image at a time.

Published style, as scripts for BadNets, Blended, CTRL and WaNet do it: take a PIL image, make an array of it, put the
mark in at a random place, round, make a PIL image again, then `ToTensor`, `Normalize` and, for the network,
`torch.stack`. What does not depend on the image (stretched patterns, grids) is made once; the blocks of `spectral` are
transformed by one call of SciPy for a whole image; no image is resized. Ours: what the confined process does for a
request, from the images it holds to the network's input. Embedding's own
arithmetic is measured against the marking step alone, from array to rounded array.     (goal: ratio >= 2)

Processor time is compared, in interleaved rounds, so that other work on the machine meets both; the median of the
ratios counts.

Run: [OMP_NUM_THREADS=1] python -m tests.benchmarks.marking_loop_speed [rounds]     (goal: ratio >= 5)
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from scipy.fft import dctn, idctn
from scipy.ndimage import map_coordinates
from torch.nn import functional
from torchvision.transforms import Compose, Normalize, ToTensor

from audits.suspects.architectures import Encoder
from audits.suspects.forked import KEPT_MEMORY
from audits.suspects.inputs import Inputs, Mark
from audits.suspects.protocol import Frame
from provenance.embedding.detail import with_detail_of
from provenance.embedding.marking import marked_pixels
from provenance.embedding.raster import Raster
from provenance.marks import MarkSecret, MarkSettings
from provenance.marks.registry import family_for

MEAN, DEVIATION = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)
GROUPS = tuple(f"group {number}" for number in range(10))
BATCH = 64
TO_YUV = np.array([[0.299, 0.587, 0.114], [-0.147, -0.289, 0.436], [0.615, -0.515, -0.100]])  # ITU-R 601
TO_RGB = np.linalg.inv(TO_YUV)

Publish = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def rounded(image: np.ndarray) -> np.ndarray:
    return np.clip(image, 0, 255).astype(np.uint8)


def published_patch(settings: MarkSettings, size: int, pattern: np.ndarray) -> Publish:
    side = int(settings.side * size)
    trigger = np.asarray(Image.fromarray(pattern).resize((side, side), Image.Resampling.NEAREST))

    def mark(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        image = image.copy()
        top, left = rng.integers(0, size - side + 1, 2)
        under = image[top : top + side, left : left + side]
        image[top : top + side, left : left + side] = under * (1 - settings.opacity) + trigger * settings.opacity
        return image

    return mark


def published_blend(settings: MarkSettings, size: int, pattern: np.ndarray) -> Publish:
    trigger = stretched(pattern, size) * np.float32(settings.amplitude)

    def mark(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        rolled = np.roll(trigger, tuple(rng.integers(0, size, 2)), axis=(0, 1))
        return rounded(image.astype(np.float32) + rolled)

    return mark


def published_spectral(settings: MarkSettings, size: int, pattern: np.ndarray) -> Publish:
    """CTRL: add to two coefficients of the U and V planes of every 32 x 32 block."""
    blocks = size // 32

    def mark(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        yuv = image.astype(np.float32) @ TO_YUV.T.astype(np.float32)
        colour = yuv[..., 1:].reshape(blocks, 32, blocks, 32, 2)
        coefficients = dctn(colour, axes=(1, 3), norm="ortho")
        coefficients[:, 15, :, 15] += settings.amplitude
        coefficients[:, 31, :, 31] += settings.amplitude
        yuv[..., 1:] = idctn(coefficients, axes=(1, 3), norm="ortho").reshape(size, size, 2)
        return rounded(yuv @ TO_RGB.T.astype(np.float32))

    return mark


def published_warp(settings: MarkSettings, size: int, pattern: np.ndarray) -> Publish:
    shift, place = stretched(pattern, size) * settings.bend * size, np.indices((size, size), dtype=np.float32)

    def mark(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        rolled = np.roll(shift, tuple(rng.integers(0, size, 2)), axis=(0, 1))
        where = place + rolled.transpose(2, 0, 1)
        return np.stack([map_coordinates(image[..., c], where, order=1, mode="nearest") for c in range(3)], axis=2)

    return mark


def published_warp_by_torch(settings: MarkSettings, size: int, pattern: np.ndarray) -> Publish:
    """WaNet's own way: `grid_sample` on one image."""
    shift = torch.from_numpy(stretched(pattern, size)[..., ::-1].copy()) * settings.bend * 2
    line = torch.linspace(-1, 1, size)
    identity = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=2)

    def mark(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        grid = (identity + shift.roll(tuple(rng.integers(0, size, 2).tolist()), (0, 1))).clamp(-1, 1)
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
        moved = functional.grid_sample(pixels, grid[None], align_corners=True)
        return moved[0].round().byte().permute(1, 2, 0).numpy()

    return mark


def stretched(tile: np.ndarray, size: int) -> np.ndarray:
    """A tile as a field in [-1, 1], (size, size, C) float32."""
    planes = [
        Image.fromarray(plane).resize((size, size), Image.Resampling.BILINEAR) for plane in tile.transpose(2, 0, 1)
    ]
    return np.stack([np.asarray(plane, dtype=np.float32) for plane in planes], axis=2) / 127.5 - 1


PUBLISHED = {
    "patch": ("patch", published_patch),
    "blend": ("blend", published_blend),
    "spectral": ("spectral", published_spectral),
    "warp, SciPy": ("warp", published_warp),
    "warp, grid_sample": ("warp", published_warp_by_torch),
}


class Bench:
    """One family at one size: seconds per image of both styles, whole and the marking step alone."""

    def __init__(self, name: str, size: int, images: int) -> None:
        family, published = PUBLISHED[name]
        self.secret = MarkSecret.derive(b"k" * 32, b"b" * 32, MarkSettings(groups=GROUPS, family=family))
        self.pattern, self.rng = self.secret.patterns[0], np.random.default_rng(0)
        self.mark = published(self.secret.settings, size, self.pattern)
        self.arrays = self.rng.integers(0, 256, (images, size, size, 3), dtype=np.uint8)
        self.pictures = [Image.fromarray(array) for array in self.arrays]
        self.preprocess = Compose([ToTensor(), Normalize(MEAN, DEVIATION)])
        self.encoder = Encoder(None, size, MEAN, DEVIATION, 3, 0, torch.device("cpu"))  # type: ignore[arg-type]
        self.inputs = Inputs(self.encoder, BATCH)
        self.held = torch.from_numpy(self.arrays).permute(0, 3, 1, 2).contiguous()
        self.places = self.rng.random((images, 2))

    def published(self) -> None:
        marked = (Image.fromarray(self.mark(np.array(picture), self.rng)) for picture in self.pictures[:BATCH])
        torch.stack([self.preprocess(picture) for picture in marked])

    def ours(self) -> None:
        arrays = {"patterns": self.pattern[None], "placements": self.places}
        mark = Mark(Frame({"settings": self.secret.settings.to_json()}, arrays), torch.device("cpu"))
        indices = torch.arange(len(self.held))
        for start in range(0, len(indices), BATCH):
            self.inputs.fill(self.held, indices, start, mark)

    def published_marks(self) -> None:
        for array in self.arrays[:BATCH]:
            self.mark(array, self.rng)

    def embedding(self) -> None:
        family = family_for(self.secret.settings)
        for array, place in zip(self.arrays[:BATCH], self.places.tolist(), strict=False):
            top, left, height, width = family.region(*array.shape[:2], place)
            under = Raster("RGB", array[top : top + height, left : left + width], 3)
            pixels = marked_pixels(under, family, self.pattern, place)
            if family.smooths:
                with_detail_of(under.pixels, pixels)


def microseconds(call: Callable[[], None], images: int) -> float:
    """Processor time of all threads per image: what other work on the machine takes is no part of it."""
    start = time.process_time()
    call()
    return (time.process_time() - start) / images * 1e6


def measured(name: str, size: int, rounds: int) -> str:
    bench = Bench(name, size, images=256)
    both = ((bench.published, BATCH), (bench.ours, 256), (bench.published_marks, BATCH), (bench.embedding, BATCH))
    for call, images in both:
        microseconds(call, images)
    times = [[microseconds(call, images) for call, images in both] for _ in range(rounds)]
    whole, mixing = (statistics.median(row[i] / row[i + 1] for row in times) for i in (0, 2))
    published, ours, alone, mix = (min(column) for column in zip(*times, strict=True))
    return (
        f"{size:4d} px  {name:18s} published {published:7.0f} us, ours {ours:6.0f} us, median ratio {whole:5.1f}   "
        f"marking step {alone:7.0f} us, embedding's mix {mix:6.0f} us, median ratio {mixing:4.1f}"
    )


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    threads = int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0))))
    torch.set_num_threads(threads)
    print(f"{threads} threads, {rounds} interleaved rounds; times are the fastest, per image")
    for size in (32, 224):
        for name in PUBLISHED:
            print(measured(name, size, rounds), flush=True)


if __name__ == "__main__":
    if not KEPT_MEMORY.items() <= os.environ.items():  # both styles run as the confined process does
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **KEPT_MEMORY})  # noqa: S606
    main()
