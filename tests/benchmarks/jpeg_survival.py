"""How much of a preset's mark is left after somebody saves the marked images anew as JPEG at quality 75.

Run: python -m tests.benchmarks.jpeg_survival [images]   (100 of each set; some minutes)

Medians over CIFAR-10 (32 px), and over photographs as they are and with their short edge resized to 64 and 128 px.
The numbers in provenance/marks/presets.py quote this table.
"""

from __future__ import annotations

import hashlib
import io
import sys
from statistics import median

import numpy as np
from PIL import Image

from provenance.embedding.survival import survival
from provenance.marks import PRESETS, MarkSecret, MarkSettings, families, family_for
from tests.benchmarks.preset_psnr import DATA, GROUPS, pictures

QUALITY = 75
SETS = {
    "CIFAR-10, 32 px": ("cifar10.zip", 0),
    "photographs, 64 px": ("photos.zip", 64),
    "photographs, 128 px": ("photos.zip", 128),
    "photographs": ("photos.zip", 0),
}


def pixels_of(data: bytes, edge: int) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        rgb = image.convert("RGB")
    if edge:
        scale = edge / min(rgb.size)
        rgb = rgb.resize((round(rgb.width * scale), round(rgb.height * scale)), Image.Resampling.LANCZOS)
    return np.asarray(rgb)


def kept(images: list[np.ndarray], mark: MarkSettings) -> float:
    """Median over images; patterns take turns, as groups would, and so do eight keys, for a plain mark has one each."""
    secrets = [MarkSecret.derive(hashlib.sha256(bytes([key])).digest(), bytes(32), mark) for key in range(8)]
    family, left = family_for(mark), []
    for number, pixels in enumerate(images):
        secret = secrets[number % len(secrets)]
        place = secret.placement(hashlib.sha256(pixels.tobytes()).hexdigest())
        top, start, height, width = family.region(pixels.shape[0], pixels.shape[1], place)
        window = (slice(top, top + height), slice(start, start + width))
        intended = pixels.copy()
        mixed = family.mix(pixels[window], secret.patterns[number // len(secrets) % len(secret.patterns)], place)
        intended[window] = np.clip(np.rint(mixed), 0, 255)
        buffer = io.BytesIO()
        Image.fromarray(intended).save(buffer, "JPEG", quality=QUALITY)
        left.append(survival(pixels[window], intended[window], pixels_of(buffer.getvalue(), 0)[window]))
    return median(left)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    groups = tuple(f"{name}{number}" for name in GROUPS for number in range(2))
    print(f"| images | family | way | {' | '.join(PRESETS)} |\n|---|---|---|{'---|' * len(PRESETS)}")
    for name, (archive, edge) in SETS.items():
        images = [pixels_of(data, edge) for data in pictures(DATA / archive, count)]
        for family in families():
            for way in ("associated", "plain"):
                marks = [p.settings(groups if way == "associated" else (), "class", family, association=way)
                         for p in PRESETS.values()]  # fmt: skip
                print(
                    f"| {name} | {family} | {way} | {' | '.join(f'{kept(images, m):.2f}' for m in marks)} |", flush=True
                )


if __name__ == "__main__":
    main()
