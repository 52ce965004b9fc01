"""What each preset does to images, for every family and way: PSNR, how many carry it, survival, growth, time.

Run: python -m tests.benchmarks.preset_psnr [images]   (100 of each set; some minutes)

Images are spread evenly over ../shared/data/photos.zip (photographs of some 500 x 375 px) and cifar10.zip (32 x 32 px).
The sentences in provenance/marks/presets.py quote this table.
"""

from __future__ import annotations

import sys
import time
import zipfile
from pathlib import Path

from provenance.embedding.trial import Trial, try_strength
from provenance.marks import PRESETS, families

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SETS = {"photographs": "photos.zip", "CIFAR-10": "cifar10.zip"}
GROUPS = ("a", "b", "c", "d")


def pictures(archive: Path, count: int) -> list[bytes]:
    with zipfile.ZipFile(archive) as source:
        names = [name for name in source.namelist() if name.lower().endswith((".jpg", ".jpeg", ".png"))]
        step = len(names) / count
        return [source.read(names[int(number * step)]) for number in range(count)]


def row(trial: Trial) -> str:
    return (
        f"{trial.psnr:.1f} dB ({trial.lowest_psnr:.1f}–{trial.highest_psnr:.1f}) | {trial.marked} of {trial.tried} | "
        f"{trial.survival:.2f} | {trial.growth:.2f}"
    )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    print("| images | family | way | preset | PSNR | can carry it | survival | growth | processor time |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, archive in SETS.items():
        images = pictures(DATA / archive, count)
        for family in families():
            for way in ("associated", "plain"):
                for preset in PRESETS.values():
                    groups = GROUPS if way == "associated" else ()
                    mark = preset.settings(groups, "class", family, association=way)
                    try_strength(images[:1], mark, b"warm")
                    start = time.process_time()
                    trial = try_strength(images, mark, b"benchmark")
                    spent = f"{1000 * (time.process_time() - start) / trial.tried:.1f} ms"
                    print(f"| {name} | {family} | {way} | {preset.name} | {row(trial)} | {spent} |", flush=True)


if __name__ == "__main__":
    main()
