"""What was tried so that marked PNGs show less in their bytes, and was left out: docs/structure.md.

Run: python -m tests.benchmarks.structure_ideas [--each 500] [--ideas NAME …]

"edges": patches whose borders, towards the picture and between their blocks, are softened by a pixel, and patches in
which the source's own detail stays. "draws": of four times as many marked files as are wanted, those are taken, in the
key's order, whose statistics have room: no eighth of the set's own distribution, of any of four statistics, may get
more than its part; what is missing at the end is filled with those that overfill least. Generated PNGs of 128 pixels
as Pillow writes them, preset “balanced”, key and classifier as in structure_auc, mean over two seeds of its halves.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from PIL import Image

from provenance.embedding.marking import mark_image
from provenance.embedding.survival import psnr, survival
from provenance.inspection.classifier import tell_apart
from provenance.inspection.features import STRUCTURAL, Features, within
from provenance.inspection.files import file_features
from provenance.marks import MarkSecret, family_for
from tests.benchmarks.structure_auc import mark_of, secret_for
from tests.benchmarks.structure_sets import crops
from tests.provenance.embedding.builders import as_bytes

CELLS = 8  # parts of each statistic's distribution
ASKED = (
    "bytes: size against JPEG at quality 75",
    "bytes: rows with filter Paeth",
    "bytes: filters as the least sum would choose",
    "bytes: compressed bytes per pixel",
)
EDGES = {  # opacity of the outermost pixel's ring, how much of its neighbours a pixel of the pattern takes, detail
    "as it is": (1.0, 0.0, 0.0),
    "detail stays": (1.0, 0.0, 1.0),
    "outer border soft": (0.5, 0.0, 0.0),
    "blocks soft": (1.0, 1.0, 0.0),
    "all soft, detail stays": (0.5, 1.0, 1.0),
}


class Files:
    """Pictures in an order that a seed draws, their files' features, and one key's secret."""

    def __init__(self, family: str, count: int) -> None:
        pictures, order = crops(count), np.random.default_rng(77).permutation(count)
        self.pixels = [np.asarray(pictures[number]) for number in order]
        self.secret: MarkSecret = secret_for(mark_of(family), 0)
        self.family = family_for(self.secret.settings)

    def place(self, index: int) -> tuple[float, float]:
        return self.secret.placement(hashlib.sha256(self.pixels[index].tobytes()).hexdigest())

    def pattern(self, index: int) -> np.ndarray:
        return self.secret.patterns[index % len(self.secret.patterns)]

    def marked(self, index: int) -> bytes:
        data = as_bytes(Image.fromarray(self.pixels[index]), "PNG")
        return mark_image(data, self.family, self.pattern(index), self.place(index)).data


def features(data: bytes) -> Features:
    return within(file_features(data), STRUCTURAL)


def blurred(pixels: np.ndarray, times: int = 1) -> np.ndarray:
    """(h, w, C) after a filter of 1 2 1 both ways."""
    for _ in range(times):
        padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), mode="edge")
        rows = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
        pixels = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4
    return pixels


def patched(files: Files, index: int, ring: float, blend: float, detail: float) -> np.ndarray:
    """(H, W, 3) uint8 with a patch that is mixed in softly."""
    source, pattern = files.pixels[index].astype(float), files.pattern(index)
    top, left, side, _ = files.family.region(*source.shape[:2], files.place(index))
    window, cell = (slice(top, top + side), slice(left, left + side)), np.arange(side) * len(pattern) // side
    tile = pattern[cell][:, cell].astype(float)
    tile += blend * (blurred(tile) - tile)
    inner = np.minimum(np.arange(side), np.arange(side)[::-1]) > 0
    opacity = files.secret.settings.opacity * np.where(np.outer(inner, inner), 1.0, ring)[..., None]
    under, lost = source[window], (source - blurred(source, 4))[window]
    source[window] = under * (1 - opacity) + tile * opacity + detail * opacity * lost
    return np.clip(np.rint(source), 0, 255).astype(np.uint8)


def edges(each: int) -> Iterator[str]:
    files = Files("patch", 2 * each)
    others = [features(as_bytes(Image.fromarray(one), "PNG")) for one in files.pixels[each:]]
    for name, strength in EDGES.items():
        kept, apart, found = [], [], []
        for index in range(each):
            source, wanted = files.pixels[index], patched(files, index, *EDGES["as it is"])
            written = patched(files, index, *strength)
            kept.append(survival(source, wanted, written))
            apart.append(psnr(source, written))
            found.append(features(as_bytes(Image.fromarray(written), "PNG")))
        told = f"survival {np.mean(kept):.2f} (lowest {min(kept):.2f}), PSNR {np.mean(apart):.1f} dB"
        yield f"{name:24} AUC {area(found, others)}   {told}"


def draws(family: str, each: int) -> Iterator[str]:
    files = Files(family, 6 * each)
    sources = [features(as_bytes(Image.fromarray(one), "PNG")) for one in files.pixels]
    marked = [features(files.marked(index)) for index in range(4 * each)]
    for name, choose in (("the key's first", lambda *_: list(range(each))), ("those with room", with_room)):
        chosen = choose(values(sources), values(marked), each)
        left = [one for index, one in enumerate(sources) if index not in set(chosen)][-2 * each :]
        yield f"{family:8} {name:16} AUC {area([marked[index] for index in chosen], left)}   of {max(chosen) + 1} draws"


def values(rows: Sequence[Features]) -> np.ndarray:
    return np.array([[float(row[name]) for name in ASKED] for row in rows])


def with_room(sources: np.ndarray, marked: np.ndarray, each: int) -> list[int]:
    """(n, 4) statistics of all sources and of marked files in the key's order: which marked ones are taken."""
    cells, room = [], []
    for own, other in zip(marked.T, sources.T, strict=True):
        bounds = np.unique(np.quantile(other, np.linspace(0, 1, CELLS + 1)[1:-1]))
        cells.append(np.searchsorted(bounds, own, side="right"))
        shares = np.bincount(np.searchsorted(bounds, other, side="right"), minlength=len(bounds) + 1) / len(other)
        room.append(np.maximum(shares * each, 1e-9))
    taken, chosen, left = [np.zeros(len(one)) for one in room], [], []

    def fullness(index: int) -> float:
        return max(
            (got[cell[index]] + 1) / most[cell[index]] for got, cell, most in zip(taken, cells, room, strict=True)
        )

    def take(index: int) -> None:
        chosen.append(index)
        for got, cell in zip(taken, cells, strict=True):
            got[cell[index]] += 1

    for index in range(len(marked)):
        if len(chosen) < each and fullness(index) <= 1:
            take(index)
        else:
            left.append(index)
    while len(chosen) < each:
        best = min(left, key=fullness)
        left.remove(best)
        take(best)
    return chosen


def area(marked: Sequence[Features], others: Sequence[Features]) -> str:
    truth = [True] * len(marked) + [False] * len(others)
    found = [tell_apart([*marked, *others], truth, seed).auc for seed in (1, 2)]
    return f"{np.mean(found):.3f} ({found[0]:.3f}, {found[1]:.3f}), {len(marked)} + {len(others)}"


IDEAS: dict[str, Callable[[int], Iterator[str]]] = {
    "edges": edges,
    "draws of patch": partial(draws, "patch"),
    "draws of warp": partial(draws, "warp"),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--each", type=int, default=500)
    parser.add_argument("--ideas", nargs="*", default=list(IDEAS), choices=list(IDEAS))
    options = parser.parse_args()
    for name in options.ideas:
        for line in IDEAS[name](options.each):
            print(line, flush=True)


if __name__ == "__main__":
    main()
